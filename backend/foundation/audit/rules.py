"""What may stand in an audit entry: facts, never a secret."""

import re
from collections.abc import Mapping
from typing import Any

_SECRET_NAME = re.compile(r"passw|secret|token|cookie|credential|authorization|api_?key$", re.IGNORECASE)
_LONGEST_TEXT = 500
MASK = "[hidden]"


def safe_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail with values of secret-sounding names masked and long texts cut at 500 characters."""
    return {name: MASK if _SECRET_NAME.search(name) else _safe_value(value) for name, value in detail.items()}


def _safe_value(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, Mapping):
        return safe_detail(value)  # pyright: ignore[reportUnknownArgumentType] - JSON from our own rooms
    return value
