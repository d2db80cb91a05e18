"""JSON schemas of tools: which ones are taken, and what is wrong with a value, in words for a model and a person."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

Schema = Mapping[str, Any]

_SIZE_MAX = 32 * 1024
_DEPTH_MAX = 16
_ERRORS_MAX = 5
_SHOWN = 80
_REFUSED = {
    "$ref": "write the schema out where it is used",
    "$dynamicRef": "write the schema out where it is used",
    "$id": "leave it out: a schema has no address of its own here",
    "pattern": "use `enum`, `minLength` and `maxLength`: a pattern can take for ever",
    "patternProperties": "use `properties` and `additionalProperties`",
}
_PLURAL = {"array": "items", "string": "characters", "object": "keys"}


def schema_fault(schema: object) -> str:
    """Return why a schema is not taken, in one sentence without its end; empty when it is.

    It must be an object's schema of draft 2020-12, at most 32 KiB and 16 levels, without references and patterns.
    """
    if not isinstance(schema, dict):
        return "it must be a table with a JSON schema"
    given = cast("dict[str, Any]", schema)
    if given.get("type") != "object":
        return '`type` must be "object": arguments and results have names'
    if fault := next(_walk(given, 0, is_schema=True), ""):
        return fault
    if len(msgspec.json.encode(given, enc_hook=str)) > _SIZE_MAX:
        return f"it is larger than {_SIZE_MAX // 1024} KiB"
    try:
        Draft202012Validator.check_schema(given)
    except SchemaError as error:
        return f"at `{_path(error) or 'the top'}`: {_shortened(error.message)}"
    return ""


@lru_cache(maxsize=1024)
def stored_schema_fault(text: bytes) -> str:
    """Return the same for a schema as JSON, as it is stored: asked at every call, answered from memory."""
    return schema_fault(msgspec.json.decode(text))


def value_faults(schema: Schema, value: Any, what: str) -> tuple[str, ...]:
    """Return what is wrong with a value, at most five sentences, most important first; none when it fits.

    Args:
        schema: one that `schema_fault` takes.
        value: JSON as Python's own types.
        what: how the whole is called, such as ``the arguments``.
    """
    validator = Draft202012Validator(schema)
    try:
        errors = sorted(_errors(validator, value), key=lambda error: (len(error.absolute_path), _path(error)))
    except RecursionError:
        return (f"{what[0].upper()}{what[1:]} are nested too deeply.",)
    return tuple(_words(error, what) for error in errors[:_ERRORS_MAX])


def _errors(validator: Draft202012Validator, value: Any) -> Iterator[ValidationError]:
    return validator.iter_errors(value)  # pyright: ignore[reportUnknownMemberType] - the library types no instance


def _walk(node: object, depth: int, *, is_schema: bool) -> Iterator[str]:
    """Yield what is refused in a schema. Under ``properties`` the keys are names of people's choice."""
    if depth > _DEPTH_MAX:
        yield f"it is nested more than {_DEPTH_MAX} levels deep"
    elif isinstance(node, dict):
        for key, below in cast("dict[str, object]", node).items():
            if is_schema and key in _REFUSED:
                yield f"`{key}` is not supported: {_REFUSED[key]}"
            if is_schema and key in ("enum", "const", "default", "examples"):
                continue
            yield from _walk(below, depth + 1, is_schema=not (is_schema and key in ("properties", "$defs")))
    elif isinstance(node, list):
        for below in cast("list[object]", node):
            yield from _walk(below, depth + 1, is_schema=is_schema)


def _words(error: ValidationError, what: str) -> str:
    path = _path(error)
    name = f'"{path}"' if path else f"{what[0].upper()}{what[1:]}"
    rule, bound, value = cast("str", error.validator), cast("Any", error.validator_value), cast("Any", error.instance)
    match rule:
        case "type":
            return f"{name} must be {_types(bound)}, but it is {_shown(value)}."
        case "required":
            missing = next((key for key in bound if key not in value), "")
            return f'"{_joined(path, missing)}" is missing.'
        case "additionalProperties":
            return _unknown_keys(error, path)
        case "enum":
            return f"{name} must be one of {', '.join(map(_shown, bound))}, but it is {_shown(value)}."
        case "minLength" | "minItems" | "minProperties":
            return f"{name} must have at least {bound:,} {_counted(value)}, but it has {len(value):,}."
        case "maxLength" | "maxItems" | "maxProperties":
            return f"{name} may have at most {bound:,} {_counted(value)}, but it has {len(value):,}."
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{name} must be {_BOUNDS[rule]} {bound}, but it is {_shown(value)}."
        case _:
            return f"{name} does not fit: {_shortened(error.message)}."


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def _unknown_keys(error: ValidationError, path: str) -> str:
    known = cast("dict[str, Any]", error.schema).get("properties", {})
    unknown = [key for key in cast("dict[str, Any]", error.instance) if key not in known]
    names = ", ".join(f'"{_joined(path, _shortened(key))}"' for key in unknown[:_ERRORS_MAX])
    there = ", ".join(f'"{_joined(path, key)}"' for key in known)
    return f"{names} is unknown; there is {there}." if there else f"{names} is unknown; nothing is expected here."


def _types(bound: str | list[str]) -> str:
    names = [bound] if isinstance(bound, str) else bound
    return " or ".join(f"{'an' if name[0] in 'aeio' else 'a'} {name}" if name != "null" else "null" for name in names)


def _shown(value: Any) -> str:
    return _shortened(msgspec.json.encode(value).decode())


def _counted(value: Any) -> str:
    return _PLURAL["string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"]


def _path(error: ValidationError | SchemaError) -> str:
    path = ""
    for part in error.absolute_path:
        path = f"{path}[{part}]" if isinstance(part, int) else _joined(path, str(part))
    return path


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
