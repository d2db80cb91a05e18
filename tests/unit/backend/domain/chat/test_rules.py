"""CHT-1: what may be sent, and how a conversation gets its first title."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.chat.errors import EmptyMessage, MessageTooLong
from backend.domain.chat.rules import MAX_TEXT, checked_text, title_of


@pytest.mark.parametrize("text", ["", "  \n\t ", "\x00\x00"])
def test_an_empty_message_is_refused(text: str) -> None:
    with pytest.raises(EmptyMessage):
        checked_text(text)


def test_a_message_above_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(MessageTooLong, match="100,001"):
        checked_text("x" * (MAX_TEXT + 1))


@given(st.text(max_size=500))
def test_a_title_is_one_short_line_that_is_never_empty(text: str) -> None:
    title = title_of(text)
    assert title
    assert len(title) <= 61
    assert "\n" not in title
