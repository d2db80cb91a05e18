"""Data inside a message: JSON and quotations. All of it takes time in proportion to the message's length only."""

import json
import re
from typing import Any

_MOST_STARTS = 20
_QUOTES = {'"': '"', "“": "”", "‘": "’", "«": "»", "`": "`", "'": "'"}
_CLOSERS = {closer: opener for opener, closer in _QUOTES.items()}


def find_json(text: str) -> tuple[Any, str]:
    """Return the first JSON object or array of a text and its source; ``(None, "")`` when there is none.

    Where the text speaks of JSON, what stands between the outermost brackets is taken even if it is broken: a tool can
    say where it is.
    """
    decoder = json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r"[{\[]", text)]
    for start in starts[:_MOST_STARTS]:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return value, text[start:end]
    end = max(text.rfind("}"), text.rfind("]"))
    if starts and end > starts[0] and re.search(r"\bjson\b", text, re.IGNORECASE):
        return None, text[starts[0] : end + 1]
    return None, ""


def find_quotation(text: str) -> tuple[str, str]:
    """Return what is quoted at the start or at the end of a text, without and with its marks; empty when nothing is.

    A quotation in the midst is a part of the text, and not what the text is about.
    """
    text = text.strip()
    if text[:1] in _QUOTES:
        # An apostrophe stands before a letter, a closing mark does not.
        closers = [match.start() for match in re.finditer(rf"{_QUOTES[text[0]]}(?!\w)", text[1:])]
        if closers and closers[-1] > 0:
            return text[1 : closers[-1] + 1], text[: closers[-1] + 2]
    if text[-1:] in _CLOSERS:
        opener = re.search(rf"(?<!\w){_CLOSERS[text[-1]]}", text[:-1])
        if opener is not None and opener.end() < len(text) - 1:
            return text[opener.end() : -1], text[opener.start() :]
    return "", ""
