"""Keeps credentials out of spans and logs: by the name of a field, by the form of a value, and by known values."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

MASK = "•••"
_DEEPEST = 6
_KNOWN_MAX = 1000
_SHORTEST_KNOWN = 6

# `tokens`, `token_count` and the like are figures; `token`, `access_token`, `setup-token` are credentials.
_SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase)|secret|credential|authorization|cookie|private[_-]?key|signing[_-]?key|"
    r"api[_-]?key|apikey|access[_-]?key|(?:^|[_.\-])token$|(?:^|[_.\-])(?:auth|jwt|bearer|otp)$|[a-z]Token$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}"
    r"|(?P<login>\b[a-z][a-z0-9+.-]{0,24}://[^\s:/@]{0,128}:)[^\s/@]{1,512}(?=@)"
    r"|(?P<field>\b(?:password|passwd|secret|api[_-]?key|access[_-]?token|token)[\"']?\s{0,4}[=:]\s{0,4}[\"']?)"
    r"[^\s\"'&,;]{4,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|\b(?:sk|pk|rk)-[A-Za-z0-9_-]{12,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:ghp|gho|ghs|xox[abps]|aw)[_-][A-Za-z0-9_-]{12,}"
    r"|\bwhsec_[A-Za-z0-9+/]{12,}=*"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    re.IGNORECASE | re.DOTALL,
)
# Without one of these no alternative above can match; looking for them costs a thirtieth of the expression.
_SIGNS = ("://", "key", "token", "passw", "secret", "bearer", "basic", "eyj", "sk-", "pk-", "rk-", "akia", "asia",
          "ghp", "gho", "ghs", "xox", "aw_", "aw-", "whsec_", "-----begin")  # fmt: skip
_known: dict[str, None] = {}


def hide(value: str) -> None:
    """Mask this very value from now on, wherever it appears; at most 1,000 values are remembered, the oldest go."""
    if len(value) < _SHORTEST_KNOWN:
        return
    _known[value] = None
    if len(_known) > _KNOWN_MAX:
        del _known[next(iter(_known))]


@lru_cache(maxsize=4_096)
def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a credential."""
    return _SECRET_NAME.search(name) is not None


def mask_text(text: str) -> str:
    """Return the text with everything that looks like a credential replaced."""
    for value in _known:
        if value in text:
            text = text.replace(value, MASK)
    lowered = text.lower()
    if any(sign in lowered for sign in _SIGNS):
        return _SECRET_VALUE.sub(_masked, text)
    return text


def _masked(found: re.Match[str]) -> str:
    return (found["scheme"] or found["login"] or found["field"] or "") + MASK


def mask(value: object, depth: int = 0) -> object:
    """Return a JSON-like value with its credentials replaced; what lies deeper than six levels is cut off."""
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return mask_fields(cast("Mapping[object, object]", value), depth)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [mask(item, depth + 1) for item in cast("Sequence[object]", value)]
    return mask_text(str(value))


def mask_fields(fields: Mapping[object, object], depth: int = 0) -> dict[str, object]:
    """Return a mapping with the values of credential-like names, and credentials inside other values, replaced."""
    return {
        str(name): MASK if value and is_secret_name(str(name)) else mask(value, depth + 1)
        for name, value in fields.items()
    }
