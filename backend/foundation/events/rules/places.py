"""Which places of an AsyncAPI document are new, different and gone: what people read first, before any verdict."""

from dataclasses import dataclass
from typing import Any

import msgspec

from backend.foundation.events.rules.parts import mapping

_PARTS = ("channels", "operations", "servers", "components/messages", "components/schemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Places such as ``channels/aw.chat``, each list in its order."""

    added: list[str]
    changed: list[str]
    removed: list[str]


def places(old: Any, new: Any) -> Places:
    """Return the places in which two documents differ."""
    before, after = _texts(old), _texts(new)
    return Places(
        added=sorted(after.keys() - before.keys()),
        changed=sorted(place for place in before.keys() & after.keys() if before[place] != after[place]),
        removed=sorted(before.keys() - after.keys()),
    )


def _texts(document: Any) -> dict[str, bytes]:
    found = {"info": _text(mapping(document).get("info"))}
    for part in _PARTS:
        value: Any = document
        for step in part.split("/"):
            value = mapping(value).get(step)
        found |= {f"{part}/{name}": _text(one) for name, one in mapping(value).items()}
    return found


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
