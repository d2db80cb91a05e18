"""Sizes and times as people write them in a manifest."""

import re

_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*([A-Za-z]*)")
_BYTES = {"": 1, "B": 1, "KB": 1000, "KIB": 1024, "MB": 1000**2, "MIB": 1024**2, "GB": 1000**3, "GIB": 1024**3}
_SECONDS = {"": 1.0, "MS": 0.001, "S": 1.0, "M": 60.0, "MIN": 60.0}


def parse_bytes(value: object) -> int | None:
    """Return the bytes of ``"64MiB"``, ``"64 MB"`` or a plain number; ``None`` for anything else."""
    amount = _amount(value, _BYTES)
    return None if amount is None else round(amount)


def parse_seconds(value: object) -> float | None:
    """Return the seconds of ``"5s"``, ``"500ms"``, ``"1m"`` or a plain number; ``None`` for anything else."""
    return _amount(value, _SECONDS)


def _amount(value: object, units: dict[str, int] | dict[str, float]) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if 0 <= value < 1e15 else None
    if not isinstance(value, str) or not (found := _AMOUNT.fullmatch(value.strip())):
        return None
    unit = units.get(found[2].upper())
    return None if unit is None else float(found[1]) * unit
