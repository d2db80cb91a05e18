"""TOL-1. Ids, versions, units and lines."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.tools.rules.lines import Lines, line_of_error
from backend.domain.tools.rules.names import call_name, is_tool_id, is_version
from backend.domain.tools.rules.units import parse_bytes, parse_seconds


@pytest.mark.parametrize("text", ["dev.example.echo", "a.b", "com.my-shop.text-stats2"])
def test_an_id_has_two_or_more_parts(text: str) -> None:
    assert is_tool_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "echo", "a..b", ".a.b", "a.b.", "A.b", "a.-b", "a.b-", "a.1b", "a b.c", "a/b.c", "a." + "b" * 130, "ä.b"],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_tool_id(text)


@pytest.mark.parametrize("text", ["0.0.0", "1.2.3", "1.0.0-rc.1", "10.20.30-alpha"])
def test_versions(text: str) -> None:
    assert is_version(text)


@pytest.mark.parametrize("text", ["", "1", "1.2", "01.2.3", "1.2.3.4", "v1.2.3", "1.2.3-", "1.2.3-" + "a" * 50])
def test_what_is_no_version(text: str) -> None:
    assert not is_version(text)


def test_a_call_name_keeps_the_end_of_a_long_id() -> None:
    assert call_name("dev.autoweave.text-stats") == "dev_autoweave_text_stats"
    assert call_name("a." + "b" * 90 + ".echo").endswith("b_echo")


@given(st.text())
def test_every_call_name_is_one_that_models_take(text: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_]{0,64}", call_name(text))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("64MiB", 64 * 2**20), ("1 GB", 10**9), ("512kb", 512_000), ("1.5MiB", 3 * 2**19), (4096, 4096), ("100", 100),
        ("", None), ("MiB", None), ("-1MB", None), ("1TB", None), (True, None), (None, None), ([], None), (-1, None),
        (float("nan"), None), (float("inf"), None), ("9" * 30, None),
    ],
)  # fmt: skip
def test_sizes(value: object, size: int | None) -> None:
    assert parse_bytes(value) == size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5s", 5), ("500ms", 0.5), ("1m", 60), ("2 min", 120), (2, 2), (0.5, 0.5), ("1h", None), ("s", None)],
)
def test_times(value: object, seconds: float | None) -> None:
    assert parse_seconds(value) == seconds


@given(st.text() | st.floats() | st.integers() | st.none())
def test_any_amount_is_a_number_that_is_not_negative_or_none(value: object) -> None:
    for parsed in (parse_bytes(value), parse_seconds(value)):
        assert parsed is None or parsed >= 0


TEXT = """# a comment
sha256 = ""
[tool]
"id" = 1
 security.memory = 2

[[ arguments ]]
name = "a"
[[arguments]]
name = "b"
[input.properties.json]
type = 1
"""


@pytest.mark.parametrize(
    ("table", "key", "line"),
    [
        ("", "sha256", 2), ("tool", "id", 4), ("tool", "missing", 3), ("tool.security", "memory", 5),
        ("arguments[0]", "name", 8), ("arguments[1]", "name", 10), ("arguments[1]", "type", 9), ("arguments", "", 7),
        ("arguments[7]", "name", 7), ("input.properties.json", "type", 12), ("none", "", 1),
    ],
)  # fmt: skip
def test_a_key_is_found_at_its_line(table: str, key: str, line: int) -> None:
    assert Lines(TEXT).of(table, key) == line


def test_a_parsers_message_names_its_line() -> None:
    assert line_of_error("Invalid value (at line 7, column 3)", "") == 7
    assert line_of_error("Unexpected (at end of document)", "a\nb\nc") == 3
    assert line_of_error("Unexpected (at end of document)", "") == 1
    assert line_of_error("Something else", "a\nb") == 1
