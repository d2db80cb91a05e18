"""The payloads of the events as Protobuf messages (proto3), for programs that want types from them.

On the wire data is JSON; each message's JSON form is that payload, so fields keep their names there. A field's number
is for ever: those that a file has already are kept, whatever order the fields have now, and those of fields that are
gone are reserved.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec

from backend.foundation.events.envelope import EventData
from backend.foundation.events.types import CATALOGUE

PACKAGE = "autoweave.events.v1"
_FILE = Path(__file__).resolve().parents[2] / "proto" / "autoweave" / "events" / "v1" / "events.proto"
_TYPES: Mapping[object, str] = {
    str: "string",
    int: "int64",
    float: "double",
    bool: "bool",
    dict[str, str]: "map<string, string>",
    list[str]: "repeated string",
    tuple[str, ...]: "repeated string",
}
_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  [\w<>, .]+ (\w+) = (\d+)", re.MULTILINE)
_RESERVED = re.compile(r"^  reserved (\d+); // (\w+)$", re.MULTILINE)


def protobuf(written: str = "") -> str:
    """Return the file of all payloads; ``written`` is the one before, whose numbers are kept."""
    numbers = numbers_of(written)
    models = {entry.data.__name__: entry.data for entry in CATALOGUE.values()}
    types = {
        name: sorted(entry.name for entry in CATALOGUE.values() if entry.data is model)
        for name, model in models.items()
    }
    lines = [
        "// Written by `make docs` from the catalogue of events.",
        'syntax = "proto3";',
        "",
        f"package {PACKAGE};",
    ]
    for name, model in sorted(models.items()):
        lines += ["", *_message(name, model, types[name], numbers.get(name, {}))]
    return "\n".join(lines) + "\n"


@cache
def message_of(model: type[EventData]) -> str:
    """Return the message of one payload, with the numbers of the file."""
    whole = protobuf(_FILE.read_text() if _FILE.exists() else "")
    return next(found[0].rstrip() for found in _MESSAGE.finditer(whole) if found[1] == model.__name__)


def numbers_of(written: str) -> dict[str, dict[str, int]]:
    """Return the numbers of a file's fields, those of fields that are gone too, by message."""
    return {name: _numbers(body) for name, body in _MESSAGE.findall(written)}


def _numbers(body: str) -> dict[str, int]:
    taken = {name: int(number) for number, name in _RESERVED.findall(body)}
    return taken | {name: int(number) for name, number in _FIELD.findall(body)}


def _message(name: str, model: type[EventData], types: list[str], known: Mapping[str, int]) -> Iterator[str]:
    about = " ".join((model.__doc__ or "").split())
    yield f"// {about}"
    yield f"// The data of {', '.join(types)}."
    yield f"message {name} {{"
    fields = {field.name: field for field in msgspec.structs.fields(model)}
    for gone in sorted(known.keys() - fields.keys(), key=lambda each: known[each]):
        yield f"  reserved {known[gone]}; // {gone}"
        yield f'  reserved "{gone}";'
    last = max(known.values(), default=0)
    for field in fields.values():
        number = known.get(field.name)
        if number is None:
            last += 1
            number = last
        yield f'  {_type(field)} {field.name} = {number} [json_name = "{field.encode_name}"];'
    yield "}"


def _type(field: msgspec.structs.FieldInfo) -> str:
    """Return a field's type; one that must be there is `optional`, which in proto3 means that its absence is seen."""
    name = _TYPES[field.type]
    return f"optional {name}" if field.required and " " not in name else name
