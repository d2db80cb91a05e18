"""Parts of a document of JSON values, with its references followed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

_MOST_STEPS = 48


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document; references lead into it, those to elsewhere are left as they are."""

    root: Mapping[str, Any]

    def at(self, value: Any) -> Any:
        """Return what a value stands for: that of its reference, or itself."""
        for _ in range(_MOST_STEPS):
            reference = mapping(value).get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return value
            found: Any = self.root
            for step in reference[2:].split("/"):
                found = mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
            value = found
        return value

    def expanded(self, value: Any, within: frozenset[str] = frozenset()) -> Any:
        """Return a value with what its references lead to; one that leads back to where it stands is left."""
        reference = str(mapping(value).get("$ref", ""))
        if reference in within:
            return reference
        within, value = within | ({reference} if reference else set[str]()), self.at(value)
        if isinstance(value, dict):
            return {name: self.expanded(part, within) for name, part in mapping(value).items()}
        return [self.expanded(part, within) for part in items(value)] if isinstance(value, list) else value


def mapping(value: Any) -> dict[str, Any]:
    """Return an object's members; anything else has none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return an array's values; anything else has none."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that holds no other, with its path."""
    members = mapping(value) or {str(index): part for index, part in enumerate(items(value))}
    if not members:
        yield path, value
    for name, part in members.items():
        yield from leaves(part, joined(path, name))


def joined(path: str, name: str) -> str:
    """Return the path of a member."""
    return f"{path}/{name}" if path else name
