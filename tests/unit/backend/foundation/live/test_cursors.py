"""Cursors over a run's stream, as browsers send them back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.kernel.errors import Invalid
from backend.foundation.live.rules import RunCursor, parse_cursor

numbers = st.integers(0, 2**63)


@given(numbers, numbers, numbers, numbers)
def test_a_cursor_is_read_as_it_was_written(ms: int, count: int, epoch: int, seq: int) -> None:
    """CHT-3."""
    cursor = RunCursor(f"{ms}-{count}", epoch, seq)
    assert parse_cursor(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "0"])
def test_nothing_is_the_beginning(text: str) -> None:
    """CHT-3."""
    assert parse_cursor(text) == RunCursor()


def test_a_cursor_of_the_store_alone_is_taken() -> None:
    """CHT-3."""
    assert parse_cursor("17-3") == RunCursor("17-3", 0, 0)


@pytest.mark.parametrize("text", ["$", "a-b", "1-2.3", "1-2.3.4.5", "1-2.x.4", "-1", "1-2 ", "²", "1-2.3.-4", "9" * 50])
def test_anything_else_is_refused(text: str) -> None:
    """CHT-3: a header is written by anybody."""
    with pytest.raises(Invalid):
        parse_cursor(text)


@given(st.text())
def test_whatever_comes_is_a_cursor_or_refused(text: str) -> None:
    """CHT-3."""
    with suppress(Invalid):
        assert isinstance(parse_cursor(text), RunCursor)
