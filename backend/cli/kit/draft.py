"""JSON Schema, Draft 07: whether something is a schema, and whether a value fits one."""

from collections.abc import Mapping
from typing import Any, cast


def wrong_in(schema: Any) -> tuple[tuple[str | int, ...], Any] | None:
    """Return the path and the value of what makes something no JSON Schema; ``None`` where it is one."""
    # A fifth of a second to import, which the other commands need not wait for.
    from jsonschema import Draft7Validator, exceptions

    validator = cast("Any", Draft7Validator)
    error = cast("Any", exceptions).best_match(validator(validator.META_SCHEMA).iter_errors(schema))
    return None if error is None else (tuple(error.absolute_path), error.instance)


def fits(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any] | None = None) -> bool:
    """Return whether a value fits a schema, patterns apart: one could be made to run for ever.

    Args:
        schemas: what ``#/schemas/…`` refers to.
    """
    from jsonschema import Draft7Validator

    bare = {**_without_patterns(schema), "schemas": _without_patterns(schemas or {})}
    return cast("Any", Draft7Validator)(bare).is_valid(value)


def _without_patterns(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        parts = cast("Mapping[str, Any]", schema)
        return {name: _without_patterns(part) for name, part in parts.items()
                if name != "pattern" or not isinstance(part, str)}  # fmt: skip
    return schema
