"""A sum in a sentence, as an expression."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A sum as it was asked (``2,431 times 3``) and as an expression (``2431 * 3``)."""

    asked: str
    expression: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


_SIGNS = {
    "divide": "/",
    "times": "*",
    "power": "^",
    "plus": "+",
    "minus": "-",
    "modulo": "%",
    "percent_of": "% of",
}
# The order matters: the first that fits wins. What is no part of a sum ends it: a word, but also a date, which only
# looks like one.
_TOKEN = re.compile(
    r"""
      (?P<other>\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{2,4}|(?:\d+-){2,}\d+|\d+(?=[a-wyz_]))
    | (?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    | (?P<percent_of>(?:%|per\s?cent)\s+of\b)
    | (?P<power>\*\*|\^|\bto\ the\ power\ of\b)
    | (?P<divide>[/÷∕]|\b(?:divided\ by|over)\b)
    | (?P<times>[*×·∙]|\b(?:multiplied\ by|times)\b|(?<=[\d\s)])x(?=[\d\s(]))
    | (?P<plus>\+|\bplus\b)
    | (?P<minus>[-−–]|\bminus\b)
    | (?P<modulo>%|\bmodulo\b|\bmod\b)
    | (?P<function>\b(?:sqrt|abs|round|floor|ceil|min|max)(?=\s*\())
    | (?P<comma>,(?=\s*[-\d(]))
    | (?P<open>\()
    | (?P<close>\))
    | (?P<word>[^\s\d()+*/^%-]+|\S)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ASKING = re.compile(
    r"\b(?:what(?:['’]s| is| are)|how much|calculate|compute|evaluate|solve|work out|add up|result of)\b", re.IGNORECASE
)
_ENDS_A_SENTENCE = " \t\n=?.!"
_LONGEST = 2_000


def find_sum(text: str) -> Sum | None:
    """Return the first sum that a message asks for, in ``+ - * / % ^`` and parentheses; ``None`` for no sum."""
    text = text[:_LONGEST]
    for tokens in _runs(text):
        asked = text[tokens[0].start : tokens[-1].end]
        if _ASKING.search(text) or text.strip(_ENDS_A_SENTENCE) == asked:
            return Sum(asked=asked, expression=_expression(text, tokens))
    return None


def _runs(text: str) -> Iterator[list[_Token]]:
    tokens = [
        _Token(match.lastgroup or "word", match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)
    ]
    for breaks, run in groupby(tokens, key=lambda token: token.kind in ("word", "other")):
        trimmed = [] if breaks else _trimmed(list(run))
        if _is_sum(trimmed):
            yield trimmed


def _trimmed(run: list[_Token]) -> list[_Token]:
    """Without what hangs over at both ends: the bracket around a sentence, the dash before a list's item."""
    while run and run[0].kind not in ("number", "open", "minus", "function"):
        run = run[1:]
    while run and run[-1].kind not in ("number", "close", "modulo"):
        run = run[:-1]
    return run


def _is_sum(run: list[_Token]) -> bool:
    kinds = [token.kind for token in run]
    if kinds.count("open") != kinds.count("close") or not kinds.count("number"):
        return False
    operators = sum(kind in _SIGNS for kind in kinds[1:])
    return "function" in kinds or (kinds.count("number") > 1 and operators > 0 and "comma" not in kinds)


def _expression(text: str, run: list[_Token]) -> str:
    """Write it with signs instead of words; the spaces between stay as they are."""
    parts: list[str] = []
    end = run[0].start
    for token in run:
        parts.append(" " if text[end : token.start] else "")
        end = token.end
        if token.kind == "number":
            parts.append(token.text.replace(",", ""))
        else:
            parts.append(_SIGNS.get(token.kind, token.text))
    return "".join(parts)
