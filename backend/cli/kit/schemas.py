"""Checks the schemas of a spec: JSON Schema, in the part of it that Python, Protobuf and AsyncAPI all can say."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from backend.cli.kit import names
from backend.cli.kit.draft import fits, wrong_in
from backend.cli.kit.reading import Findings, Path, shown

REFERENCE = "#/schemas/"
_MOST_PROPERTIES, _MOST_VALUES, _LONGEST_TEXT, _LONGEST_PATTERN = 100, 200, 2000, 200
_LONGEST_VALUE = 60
_WORDS = {"title", "description", "default", "example", "examples"}
_BY_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"enum", "format", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_KNOWN_KEYWORDS = ", ".join(sorted({"type", "$ref", *_WORDS, *(word for one in _BY_TYPE.values() for word in one)}))
# What Python's expressions have and those of JSON Schema's readers in other languages have not.
_ODD_PATTERN = re.compile(r"\(\?|\\[1-9AbBZzkpPKGQER]|[*+?}]\+")
# Numbers of characters and items; what is at least there is made up for examples.
_MOST_AT_LEAST = {"minLength": _LONGEST_TEXT, "minItems": _MOST_VALUES, "maxLength": 0, "maxItems": 0}
_SCALARS = ("string", "integer", "number", "boolean")


def check_schemas(schemas: Mapping[str, Any], findings: Findings) -> None:
    """Check all; references must lead to one another and in no circle."""
    for name, schema in schemas.items():
        path: Path = ("schemas", name)
        if (wrong := names.of_schema(name)) != "":
            findings.add(path, f"The schema name {shown(name)} {wrong}.", "Name it like `OrderPlaced`.")
        elif not isinstance(schema, dict):
            # True and false are JSON Schemas too.
            findings.add(path, f"The schema {name} is no mapping.", "Write `type: object` and its `properties`.")
        elif _is_json_schema(schema, path, findings):
            _object(cast("dict[str, Any]", schema), path, schemas, findings)
    _circles(schemas, findings)


def target(schema: Mapping[str, Any]) -> str:
    """Return the name of the schema that a reference leads to; nothing for anything else."""
    reference = schema.get("$ref")
    return reference.removeprefix(REFERENCE) if isinstance(reference, str) and reference.startswith(REFERENCE) else ""


def _is_json_schema(schema: Any, path: Path, findings: Findings) -> bool:
    wrong = wrong_in(schema)
    if wrong is not None:
        place = "/".join(map(str, wrong[0])) or "its root"
        findings.add((*path, *wrong[0]), f"{path[-1]} is no JSON Schema: {shown(wrong[1])} is not allowed at {place}.",
                     "Look the keyword up at json-schema.org; AsyncAPI uses Draft 07.")  # fmt: skip
    return wrong is None


def _object(schema: Mapping[str, Any], path: Path, all_: Mapping[str, Any], findings: Findings) -> None:
    if schema.get("type") != "object" or not schema.get("properties"):
        findings.add(path, f"The schema {path[-1]} is no object with properties.",
                     "Write `type: object` and its `properties`.")  # fmt: skip
        return
    _keywords(schema, path, "object", findings)
    properties = cast("dict[str, Any]", schema["properties"])
    if len(properties) > _MOST_PROPERTIES:
        findings.add(path, f"It has more than {_MOST_PROPERTIES} properties.", "Split it into several schemas.")
    if not isinstance(schema.get("additionalProperties", True), bool):
        findings.add((*path, "additionalProperties"), "`additionalProperties` is no true or false.", "Write `false`.")
    for name in schema.get("required", []):
        if name not in properties:
            findings.add((*path, "required"), f"The required {shown(name)} is no property.", "Add it to `properties`.")
    for name, part in properties.items():
        place = (*path, "properties", name)
        if (wrong := names.of_property(name)) != "":
            findings.add(place, f"The property name {shown(name)} {wrong}.", "Name it like `order_id`.")
        _part(part, place, all_, findings)


def _part(schema: Any, path: Path, all_: Mapping[str, Any], findings: Findings) -> None:
    if not isinstance(schema, dict):
        findings.add(path, "A property must say its type.", "Write for instance `{type: string}`.")
        return
    part = cast("dict[str, Any]", schema)
    if "$ref" in part:
        _reference(part, path, all_, findings)
        return
    kind = part.get("type")
    if kind == "object":
        findings.add(path, "An object inside an object has no name.",
                     f"Put it under `schemas` and write `$ref: '{REFERENCE}Name'`.")  # fmt: skip
    elif kind == "array":
        _keywords(part, path, kind, findings)
        _counts(part, path, findings)
        if "default" in part:
            findings.add((*path, "default"), "A list has no default here.", "Leave it out: it may be missing.")
        items = part.get("items")
        if not isinstance(items, dict) or cast("dict[str, Any]", items).get("type") == "array":
            findings.add(path, "`items` must be a schema, and no list of lists.", "Write `items: {type: string}`.")
        else:
            _part(items, (*path, "items"), all_, findings)
    elif kind in _SCALARS:
        _keywords(part, path, str(kind), findings)
        _scalar(part, path, findings)
    else:
        findings.add(path, f"The type {shown(kind)} is none that can be generated.",
                     f"Use one of {', '.join(_SCALARS)}, array or `$ref`.")  # fmt: skip


def _reference(part: dict[str, Any], path: Path, all_: Mapping[str, Any], findings: Findings) -> None:
    if target(part) not in all_:
        known = ", ".join(sorted(all_)[:5]) or "none"
        findings.add((*path, "$ref"), f"The reference {shown(part['$ref'])} leads nowhere.",
                     f"Write `{REFERENCE}Name` with one of: {known}.")  # fmt: skip
    if part.keys() - {"$ref", "description"}:
        findings.add(path, "Beside `$ref` nothing else counts.", "Move the other keywords to that schema.")


def _keywords(schema: Mapping[str, Any], path: Path, kind: str, findings: Findings) -> None:
    for word in schema.keys() - _BY_TYPE[kind] - _WORDS - {"type"}:
        findings.add((*path, word), f"`{shown(word)[1:-1]}` cannot be generated for the type {kind}.",
                     f"Leave it out; the keywords are {_KNOWN_KEYWORDS}.")  # fmt: skip


def _scalar(part: dict[str, Any], path: Path, findings: Findings) -> None:
    values = part.get("enum", [])
    good = all(isinstance(one, str) and one.isprintable() and len(one) <= _LONGEST_VALUE for one in values)
    if not good or len(values) > _MOST_VALUES or len(set(values)) < len(values) or ("enum" in part and not values):
        findings.add(
            (*path, "enum"),
            f"`enum` must list up to {_MOST_VALUES} printable texts of at most {_LONGEST_VALUE} characters, each once.",
            "Put numbers and true or false in quotes, or leave it out.",
        )
    pattern = part.get("pattern")
    if pattern is not None and _pattern(pattern) is None:
        findings.add((*path, "pattern"), f"The pattern {shown(pattern)} is none that every language reads alike.",
                     "Use classes, counts, groups and alternatives; no look-around, no back-reference.")  # fmt: skip
    if pattern is not None and not ("example" in part or "default" in part or part.get("examples")):
        findings.add(path, "A text with a pattern needs an example.", 'Add `examples: ["…"]`, which tests send.')
    _counts(part, path, findings)
    _whole_bounds(part, path, findings)
    matches = _pattern(pattern if isinstance(pattern, str) else "")
    if matches is None:
        return
    for word in ("default", "example", "examples"):
        told: Any = part.get(word)
        told = [told] if word in part and word != "examples" else told or []
        if any(len(str(one)) > _LONGEST_TEXT or not fits(one, part) or not matches(one)
               for one in told):  # fmt: skip
            findings.add((*path, word), f"The {word} {shown(told[0])} does not fit the schema.", "Correct either.")


def _counts(part: Mapping[str, Any], path: Path, findings: Findings) -> None:
    for word, most in _MOST_AT_LEAST.items():
        if isinstance(part.get(word), float):
            findings.add((*path, word), f"`{word}` is no whole number.", "Write it without a fraction or exponent.")
        elif most and part.get(word, 0) > most:
            findings.add((*path, word), f"`{word}` is more than {most}.", "Lower it: examples are made of that size.")


def _whole_bounds(part: dict[str, Any], path: Path, findings: Findings) -> None:
    if part.get("type") == "integer":
        for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if isinstance(part.get(word), float):
                findings.add((*path, word), f"`{word}` of a whole number has a fraction.", "Write a whole number.")
    lower = max((part[word] for word in ("minimum", "exclusiveMinimum", "minLength") if word in part), default=None)
    upper = min((part[word] for word in ("maximum", "exclusiveMaximum", "maxLength") if word in part), default=None)
    if lower is not None and upper is not None and lower > upper:
        findings.add(path, f"Nothing lies between {lower} and {upper}.", "Swap or widen the limits.")


def _pattern(pattern: str) -> Callable[[Any], bool] | None:
    """Return what tells whether a value fits; ``None`` where the pattern is not read alike by every language.

    The engine is the one that generated code uses: its time grows with the text alone, whatever the pattern.
    """
    from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

    if len(pattern) > _LONGEST_PATTERN or _ODD_PATTERN.search(pattern) or not pattern.isprintable():
        return None
    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=pattern) if pattern else core_schema.any_schema())
    except SchemaError:
        return None

    def matches(value: Any) -> bool:
        try:
            validator.validate_python(value)
        except ValidationError:
            return False
        return True

    return matches


def _circles(schemas: Mapping[str, Any], findings: Findings) -> None:
    ahead = {name: sorted(set(_targets(schema))) for name, schema in schemas.items()}
    circle = first_circle(ahead)
    if circle:
        findings.add(("schemas", circle[0]), f"Schemas refer to one another in a circle: {' -> '.join(circle)}.",
                     "Refer by an id instead at one of these places.")  # fmt: skip


def _targets(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        members = cast("dict[str, Any]", schema)
        if target(members):
            yield target(members)
        for part in members.values():
            yield from _targets(part)


def first_circle(ahead: Mapping[str, list[str]]) -> list[str]:
    """Return the first way that leads back to where it began, from its begin to it again; nothing if none does."""
    done: set[str] = set()
    for start in ahead:
        way: dict[str, Iterator[str]] = {} if start in done else {start: iter(ahead[start])}
        while way:
            name = next(reversed(way))
            further = next(way[name], None)
            if further is None:
                done.add(name)
                del way[name]
            elif further in way:
                names_ = list(way)
                return [*names_[names_.index(further) :], further]
            elif further in ahead and further not in done:
                way[further] = iter(ahead[further])
    return []
