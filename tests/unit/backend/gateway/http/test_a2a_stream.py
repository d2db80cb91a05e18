"""BUS-7: how the pieces of an answer become the answer that is stored."""

import pytest

from backend.foundation.live.views import Kind, LiveEntry
from backend.gateway.http import a2a_stream
from backend.gateway.http.a2a_stream import Answer


def entry(kind: Kind, path: str, text: str = "") -> LiveEntry:
    return LiveEntry(1, path, 1, kind, {"text": text} if text else {})


def shown(entries: list[LiveEntry], whole: str) -> tuple[str, list[bool]]:
    """What a client has in the end, and which pieces were appended."""
    answer, text, appended = Answer(), "", list[bool]()
    for piece in [*(answer.heard(one) for one in entries), answer.rest(whole)]:
        if piece is not None:
            text = text + piece[0] if piece[1] else piece[0]
            appended.append(piece[1])
    return text, appended


def test_turns_are_put_together_as_the_run_does_it() -> None:
    entries = [entry("token", "a", "one"), entry("token", "a", " two"), entry("token", "b", "three")]
    assert shown(entries, "one two\n\nthree") == ("one two\n\nthree", [False, True, True, True])


@pytest.mark.parametrize(
    ("entries", "pieces"),
    [
        ([entry("token", "a", "x"), entry("reset", "a"), entry("token", "a", "ab")], [False, False, True]),
        ([entry("token", "a", "x"), entry("reset", "a")], [False, False]),
        ([entry("token", "a", "ab"), entry("reset", "")], [False, False]),
        ([entry("reset", ""), entry("token", "a", "b")], [False]),
        ([entry("reset", "a"), entry("token", "a", "a")], [False, True]),
        ([entry("token", "a", "a"), entry("token", "b", "c"), entry("token", "a", "b")], [False, True, False, False]),
        ([entry("token", "a", "other")], [False, False]),
        ([entry("token", "a", "")], [False]),
        ([], [False]),
    ],
)
def test_whatever_came_in_between_the_end_is_the_whole_answer(entries: list[LiveEntry], pieces: list[bool]) -> None:
    assert shown(entries, "ab") == ("ab", pieces)


def test_an_answer_of_nothing_is_no_piece_but_takes_back_what_was_told() -> None:
    assert shown([], "") == ("", [])
    assert shown([entry("token", "a", "x")], "") == ("", [False, False])


def test_a_turn_taken_back_keeps_those_before_it() -> None:
    answer = Answer()
    for one in (entry("token", "a", "one"), entry("token", "b", "x"), entry("reset", "b")):
        answer.heard(one)
    assert answer.heard(entry("token", "b", "two")) == ("one\n\ntwo", False)


def test_above_its_limit_it_remembers_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a2a_stream, "_MOST_TEXT", 5)
    assert shown([entry("token", "a", "four"), entry("token", "a", "more")], "four more") == ("four more", [False] * 2)
