"""BUS-10 OPS-1: what stands in names, messages and errors is shown by the command line, and never acted on."""

import json

import pytest

from backend.cli.context import show
from backend.cli.terminal import plain

ACTS = ["\x1b[2J", "\x9b31m", "\x07", "\r", "\x00", "\x7f", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\ud800"]


@pytest.mark.parametrize("sign", [*ACTS, "\n", "\t", "\U000e0041"])
def test_signs_that_act_are_shown_as_json_writes_them(sign: str) -> None:
    shown = plain(f"a{sign}b")
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == f"a{sign}b"


@pytest.mark.parametrize("text", ["", "Größe 5 € 日本語 🙂", "[red]not markup[/red]", "\\u001b as it was written"])
def test_text_for_people_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_line_ends_stay_where_lines_are_wanted() -> None:
    assert plain("a\n\tb\x1b\r\n", lines=True) == "a\n    b\\u001b\\u000d\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_command_prints_what_acts(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    nasty = "".join(ACTS)
    show({"name": nasty}, as_json=as_json, words=nasty)
    told = capsys.readouterr().out
    assert told.replace("\n", "").isprintable()
    if as_json:
        assert json.loads(told) == {"name": nasty}
