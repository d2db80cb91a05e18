"""Makes up a payload that fits a schema: for tests, documents and load."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from backend.cli.kit.mesh import Mesh
from backend.cli.kit.schemas import target


def example(mesh: Mesh, schema: str, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return one with every property, but for some."""
    members = cast("dict[str, Any]", mesh.schemas[schema]["properties"])
    return {name: _of(mesh, part, name) for name, part in members.items() if name not in without}


def weights(mesh: Mesh) -> dict[str, tuple[int, int]]:
    """Return for each schema how deep its references lead, and how many values an example of it has.

    Two references each in thirty schemas are a thousand million values.
    """
    known: dict[str, tuple[int, int]] = {}

    def weigh(name: str) -> tuple[int, int]:
        if name not in known:
            inner = [_weighed(part, weigh) for part in mesh.schemas[name]["properties"].values()]
            known[name] = 1 + max(depth for depth, _ in inner), 1 + sum(values for _, values in inner)
        return known[name]

    return {name: weigh(name) for name in mesh.schemas}


def _weighed(part: Mapping[str, Any], weigh: Callable[[str], tuple[int, int]]) -> tuple[int, int]:
    if target(part):
        return weigh(target(part))
    if part.get("type") != "array":
        return 0, 1
    depth, values = _weighed(part["items"], weigh)
    return depth, max(1, part.get("minItems", 0)) * values


def _of(mesh: Mesh, part: Mapping[str, Any], name: str) -> Any:
    if target(part):
        return example(mesh, target(part))
    told = [*part.get("examples", []), *([part["example"]] if "example" in part else [])]
    if told:
        return told[0]
    if part.get("type") == "array":
        return [_of(mesh, part["items"], name)] * max(1, part.get("minItems", 0)) if part.get("maxItems", 1) else []
    if part.get("type") == "string":
        return _text(part, name)
    if part.get("type") == "boolean":
        return part.get("default", True)
    return _number(part)


def _text(part: Mapping[str, Any], name: str) -> str:
    if part.get("enum"):
        return part["enum"][0]
    if part.get("default"):
        return part["default"]
    text = f"some {name.replace('_', ' ')}" if not name.endswith("_id") else f"{name.removesuffix('_id')}-1"
    return text.ljust(part.get("minLength", 0), ".")[: part.get("maxLength", len(text) + part.get("minLength", 0))]


def _number(part: Mapping[str, Any]) -> float:
    if "default" in part:
        return part["default"]
    whole = part["type"] == "integer"
    lower = part.get("minimum", part.get("exclusiveMinimum"))
    upper = part.get("maximum", part.get("exclusiveMaximum"))
    step = 1 if whole else ((upper - lower) / 2 if lower is not None and upper is not None else 1.0)
    if lower is not None:
        return lower if "minimum" in part and "exclusiveMinimum" not in part else lower + step
    return upper if upper is not None and "exclusiveMaximum" not in part else (upper or 2) - step
