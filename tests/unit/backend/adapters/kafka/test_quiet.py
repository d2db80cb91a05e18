"""The library's log during an outage."""

import logging

import pytest

from backend.adapters.kafka import quiet


def _record(level: int, text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", level, __file__, 1, text, arguments, None)


def test_a_message_that_comes_again_and_again_is_logged_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """OBS-1: and then it says how many were held back."""
    now = 100.0
    monkeypatch.setattr(quiet.time, "monotonic", lambda: now)
    repeats = quiet.Repeats()
    assert [repeats.filter(_record(logging.ERROR, "no node %s", number)) for number in range(5)] == [True] + [False] * 4
    assert repeats.filter(_record(logging.ERROR, "another"))
    now += 31
    later = _record(logging.ERROR, "no node %s", 9)
    assert repeats.filter(later)
    assert later.getMessage() == "no node 9 (4 more like it)"


def test_an_outage_of_many_different_messages_is_a_few_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """OBS-1."""
    now = 100.0
    monkeypatch.setattr(quiet.time, "monotonic", lambda: now)
    repeats = quiet.Repeats()
    assert sum(repeats.filter(_record(logging.ERROR, f"kind {number}")) for number in range(9)) == 3
    now += 31
    later = _record(logging.ERROR, "kind 10")
    assert repeats.filter(later)
    assert later.getMessage() == "kind 10 (6 other lines of the library left out)"


def test_what_is_critical_is_always_logged() -> None:
    """OBS-1."""
    repeats = quiet.Repeats()
    assert all(repeats.filter(_record(logging.CRITICAL, "end")) for _ in range(3))
