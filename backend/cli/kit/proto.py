"""Writes the Protobuf file of a mesh. A field's number is for ever: those that the file has already are kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from backend.cli.kit.emitting import words
from backend.cli.kit.mesh import Mesh
from backend.cli.kit.schemas import target
from backend.reads.protobuf import numbers_of

_TYPES = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}


def protobuf(mesh: Mesh, written: str = "") -> str:
    """Return the file; ``written`` is the one before."""
    known = numbers_of(written)
    lines = [
        "// Data on the bus is JSON: the JSON form of these messages.",
        'syntax = "proto3";',
        "",
        f"package {mesh.package}.v1;",
    ]
    for name, schema in mesh.schemas.items():
        lines += ["", *_message(name, schema, known.get(name, {}))]
    return "\n".join(lines) + "\n"


def _message(name: str, schema: Mapping[str, Any], known: Mapping[str, int]) -> Iterator[str]:
    members = schema["properties"]
    required = set(schema.get("required", []))
    yield f"// {words(schema.get('description', '')) or f'The payload {name}.'}"
    yield f"message {name} {{"
    for gone in sorted(known.keys() - members.keys(), key=lambda each: known[each]):
        yield f"  reserved {known[gone]}; // {gone}"
        yield f'  reserved "{gone}";'
    last = max(known.values(), default=0)
    for field, part in members.items():
        number = known.get(field)
        if number is None:
            # Protobuf keeps these for itself.
            last = 20_000 if 19_000 <= last + 1 <= 19_999 else last + 1
            number = last
        if part.get("description"):
            yield f"  // {words(part['description'])}"
        yield f'  {_type(part, needed=field in required)} {field} = {number} [json_name = "{field}"];'
    yield "}"


def _type(part: Mapping[str, Any], *, needed: bool) -> str:
    """Return a field's type; a scalar is `optional` where its absence must be seen."""
    if part.get("type") == "array":
        return f"repeated {_type(part['items'], needed=False)}"
    if target(part):
        return target(part)
    name = _TYPES[part["type"]]
    return f"optional {name}" if needed else name
