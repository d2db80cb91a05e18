"""Pure decisions of chat."""

from backend.domain.chat.errors import EmptyMessage, MessageTooLong

MAX_TEXT = 100_000
MAX_TITLE = 200
_SHOWN_TITLE = 60


def checked_text(text: str) -> str:
    """Return the text without surrounding blanks and NUL bytes; raise when nothing or too much is left."""
    # PostgreSQL cannot store NUL in text, and no keyboard makes one.
    text = text.replace("\x00", "").strip()
    if not text:
        raise EmptyMessage("The message is empty.", field="text")
    if len(text) > MAX_TEXT:
        raise MessageTooLong(f"The message has {len(text):,} characters.", field="text")
    return text


def title_of(text: str) -> str:
    """Return a conversation's first title: the first line of its first message, cut at a word.

    >>> title_of("  What is 17% of 2,431?  ")
    'What is 17% of 2,431?'
    """
    line = " ".join(text.strip().splitlines()[0].split()) if text.strip() else "New chat"
    if len(line) <= _SHOWN_TITLE:
        return line
    cut = line[:_SHOWN_TITLE].rsplit(" ", 1)[0] or line[:_SHOWN_TITLE]
    return f"{cut}…"
