"""TOL-1. Manifests: what is taken, and what is refused with line, cause and fix."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.tools.errors import ManifestInvalid
from backend.domain.tools.rules.manifest import parse_manifest
from backend.domain.tools.rules.security import Security

MINIMAL = """[tool]
id = "dev.example.echo"
version = "1.0.0"
wasm = "echo.wasm"
description = "Says it again."
"""


def with_security(line: str) -> str:
    return f"{MINIMAL}\n[security]\n{line}\n"


def refused(text: str) -> ManifestInvalid:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text)
    return caught.value


def test_what_is_left_out_is_the_least() -> None:
    manifest = parse_manifest(MINIMAL)
    assert manifest.name == "echo"
    assert manifest.sha256 == ""
    assert manifest.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert manifest.output_schema == {"type": "object"}
    assert manifest.security == Security()
    assert manifest.security.fs_access == "none"
    assert manifest.security.net_allow_list == manifest.security.env_allow_list == ()


def test_arguments_become_a_schema_that_takes_nothing_else() -> None:
    manifest = parse_manifest(
        MINIMAL
        + """
[[arguments]]
name = "city"
type = "string"
description = "Where."
enum = ["Bonn", "Graz"]

[[arguments]]
name = "days"
type = "integer"
description = "How many."
default = 3

[[arguments]]
name = "units"
type = "string"
description = "Which."
required = false
"""
    )
    assert manifest.input_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where.", "enum": ["Bonn", "Graz"]},
            "days": {"type": "integer", "description": "How many.", "default": 3},
            "units": {"type": "string", "description": "Which."},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_bounds_are_read_with_their_units() -> None:
    manifest = parse_manifest(
        with_security('memory = "128 MiB"\ntimeout = "1500ms"\nfuel = 2_000_000\nconcurrency = 8')
    )
    security = manifest.security
    assert (security.memory_bytes, security.timeout_s, security.fuel, security.concurrency) == (
        128 * 1024 * 1024, 1.5, 2_000_000, 8,
    )  # fmt: skip


def test_a_digest_stands_at_the_top() -> None:
    assert parse_manifest(f'sha256 = "{"ab" * 32}"\n{MINIMAL}').sha256 == "ab" * 32


@pytest.mark.parametrize(
    "line", ['fs_access = "none"', "net_allow_list = []", "env_allow_list = []", 'net_mode = "ip-and-hostname"']
)
def test_asking_for_nothing_is_fine(line: str) -> None:
    assert parse_manifest(with_security(line)).security.fs_access == "none"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('fs_access = "read"', "files"),
        ('fs_access = "write"', "files"),
        ("fs_access = true", "files"),
        ('net_allow_list = ["api.example.com"]', "the network"),
        ('net_allow_list = "*"', "the network"),
        ('env_allow_list = ["HOME"]', "environment variables"),
        ("env_allow_list = true", "environment variables"),
    ],
)
def test_what_the_sandbox_does_not_offer_is_refused_with_line_cause_and_fix(line: str, what: str) -> None:
    error = refused(with_security(line))
    assert error.line == 8
    assert error.message.startswith("tool.toml, line 8: ")
    assert f"offers a tool no import for {what}" in error.message
    assert "take the data as an argument" in error.hint
    assert error.field == f"security.{line.partition(' ')[0]}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "[tool] is missing"),
        ("[tool", 1, "no TOML"),
        ("[tool]\nid = 3\nid = 4", 3, "no TOML"),
        (MINIMAL.replace("dev.example.echo", "echo"), 2, "is no id"),
        (MINIMAL.replace("dev.example.echo", "Dev.Example"), 2, "is no id"),
        (MINIMAL.replace("1.0.0", "1.0"), 3, "is no version"),
        (MINIMAL.replace("echo.wasm", "../echo.wasm"), 4, "no file name"),
        (MINIMAL.replace("echo.wasm", "/etc/passwd"), 4, "no file name"),
        (MINIMAL.replace("Says it again.", " "), 5, "`description` is missing"),
        (MINIMAL.replace("Says it again.", "x" * 3000), 5, "longer than 2000"),
        (MINIMAL + 'license = "MIT"', 6, "`license` is unknown in [tool]"),
        (MINIMAL + 'name = "' + "x" * 100 + '"', 6, "longer than 80"),
        ("tools = 1\n" + MINIMAL, 1, "`tools` is unknown"),
        (MINIMAL + "\n[extra]\na = 1", 7, "`extra` is unknown"),
        ("sha256 = 'abc'\n" + MINIMAL, 1, "no SHA-256"),
        (with_security("memory = '1TB'"), 8, "no size"),
        (with_security("memory = 'lots'"), 8, "no size"),
        (with_security("memory = true"), 8, "no size"),
        (with_security("timeout = '1h'"), 8, "no time"),
        (with_security("timeout = 0"), 8, "no time"),
        (with_security("timeout = nan"), 8, "no time"),
        (with_security("fuel = 1"), 8, "not possible"),
        (with_security("fuel = 1.5e9"), 8, "not possible"),
        (with_security("concurrency = 0"), 8, "not possible"),
        (with_security("concurrency = true"), 8, "not possible"),
        (with_security("net_mode = 'open'"), 8, "no mode"),
        (with_security("memmory = '1MB'"), 8, "`memmory` is unknown"),
        (MINIMAL + "\n[[security]]\n", 7, "[security] is missing"),
        ("arguments = 3\n" + MINIMAL, 1, "no list"),
        ("arguments = [3]\n" + MINIMAL, 1, "no table"),
        (MINIMAL + '\n[[arguments]]\nname = "a b"\ntype = "string"\ndescription = "x"', 8, "no name"),
        (MINIMAL + '\n[[arguments]]\nname = "a"\ntype = "text"\ndescription = "x"', 9, "no type"),
        (MINIMAL + '\n[[arguments]]\nname = "a"\ntype = "string"', 7, "`description` is missing"),
        (MINIMAL + '\n[[arguments]]\nname = "a"\ntype = "string"\ndescription = "x"\nrequired = 1', 11, "neither true"),
        (MINIMAL + '\n[[arguments]]\nname = "a"\ntype = "string"\ndescription = "x"\npattern = "a+"', 11, "unknown"),
        (MINIMAL + '\n[[arguments]]\nname = "a"\ntype = "string"\ndescription = "x"\nenum = 3', 7, "no schema"),
        (MINIMAL + 2 * '\n[[arguments]]\nname = "a"\ntype = "string"\ndescription = "x"\n', 13, "twice"),
        (MINIMAL + "\n[[arguments]]\n[input]\ntype = 'object'", 8, "both [input] and"),
        (MINIMAL + "\n[input]\ntype = 'string'", 7, '`type` must be "object"'),
        (MINIMAL + "\n[output]\ntype = 'object'\nproperties = 3", 7, "[output] is not taken"),
        ("input = 3\n" + MINIMAL, 1, "must be a table"),
        ("#" * 70_000, 1, "larger than 64 KiB"),
    ],
)
def test_a_fault_names_its_line_and_cause(text: str, line: int, words: str) -> None:
    error = refused(text)
    assert words in error.message
    assert error.line == line
    assert error.hint


def test_a_wrong_key_is_told_the_right_one() -> None:
    assert refused(with_security("memmory = '1MB'")).hint == "Did you mean `memory`?"


def test_more_arguments_than_anyone_needs_are_refused() -> None:
    entries = "".join(f'\n[[arguments]]\nname = "a{n}"\ntype = "string"\ndescription = "x"\n' for n in range(65))
    assert "more than 64" in refused(MINIMAL + entries).message


def fault_of(text: str) -> ManifestInvalid | None:
    try:
        parse_manifest(text)
    except ManifestInvalid as error:
        return error
    return None


@given(st.text())
def test_any_text_is_taken_or_refused_in_words(text: str) -> None:
    for candidate in (text, MINIMAL + text, with_security(text)):
        if error := fault_of(candidate):
            assert 1 <= error.line <= max(1, len(candidate.splitlines()))
            assert error.hint


toml_values = st.one_of(
    st.text(alphabet="abc *.:/1", max_size=12).map(lambda text: f'"{text}"'),
    st.integers(min_value=-(2**63), max_value=2**63 - 1).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.floats().map(lambda value: repr(value) if "e" not in repr(value) else "0.0"),
    st.just("[]"),
    st.just('["*"]'),
    st.just("{}"),
)
KEYS = ("fs_access", "net_allow_list", "net_mode", "env_allow_list", "memory", "fuel", "timeout", "concurrency")


@given(st.dictionaries(st.sampled_from(KEYS), toml_values))
def test_no_manifest_gets_more_than_the_bounds(values: dict[str, str]) -> None:
    """TOL-1: deny by default, whatever is written."""
    text = with_security("\n".join(f"{key} = {value}" for key, value in values.items()))
    tomllib.loads(text)
    try:
        security = parse_manifest(text).security
    except ManifestInvalid:
        return
    assert security.fs_access == "none"
    assert security.net_allow_list == security.env_allow_list == ()
    assert 1024 * 1024 <= security.memory_bytes <= 256 * 1024 * 1024
    assert 1_000_000 <= security.fuel <= 50_000_000_000
    assert 0.05 <= security.timeout_s <= 60
    assert 1 <= security.concurrency <= 64
