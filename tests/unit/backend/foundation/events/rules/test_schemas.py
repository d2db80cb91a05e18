"""BUS-6: a schema that is called neither narrower nor wider takes the same values; whatever schemas there are."""

from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.foundation.events.rules.parts import Document
from backend.foundation.events.rules.schemas import Comparison, Difference

# The same schemas each time: a new find belongs to whoever changes the comparison, not to whom it meets by chance.
SETTINGS = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SMALL = st.integers(0, 2)
NAMES = st.sampled_from(["a", "b", "c"])
PLAIN = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": SMALL, "maxLength": SMALL}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": SMALL, "maximum": SMALL, "exclusiveMaximum": SMALL},
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["", "x", 1, None, True]), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": st.sampled_from(["", "x", 1])}),
    st.fixed_dictionaries({"type": st.lists(st.sampled_from(["string", "null", "boolean"]), min_size=1, unique=True)}),
    st.sampled_from([True, {}, False]),
)


def grown(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas that hold others."""
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, schemas, max_size=3)},
            optional={
                "required": st.lists(NAMES, unique=True),
                "additionalProperties": st.one_of(st.just(False), schemas),
                "minProperties": SMALL,
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": schemas}, optional={"minItems": SMALL, "uniqueItems": st.booleans()}
        ),
        st.fixed_dictionaries({"anyOf": st.lists(schemas, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"allOf": st.lists(schemas, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(schemas, min_size=1, max_size=2)}),
    )


SCHEMAS = st.recursive(PLAIN, grown, max_leaves=5)


@st.composite
def edited(draw: st.DrawFn, schema: Any) -> Any:
    """The schema with a few places changed, so that small steps are as frequent as other schemas."""
    if draw(st.integers(0, 5)) == 0:
        return draw(SCHEMAS)
    if not isinstance(schema, dict):
        return schema
    new: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword != "type" and draw(st.integers(0, 7)) == 0:
            continue
        if keyword == "properties":
            new[keyword] = {name: draw(edited(part)) for name, part in value.items()}
            new[keyword] |= draw(st.dictionaries(NAMES, PLAIN, max_size=1))
        elif keyword in ("anyOf", "allOf", "oneOf"):
            new[keyword] = [draw(edited(part)) for part in value]
        elif keyword in ("items", "additionalProperties"):
            new[keyword] = draw(edited(value))
        elif keyword in ("minLength", "maxLength", "minimum", "maximum"):
            new[keyword] = draw(SMALL)
        else:
            new[keyword] = value
    return new


@st.composite
def value_for(draw: st.DrawFn, schema: Any) -> Any:
    """A value that often fits; of an open object only what it names, since the rest is nobody's business."""
    if not isinstance(schema, dict) or "type" not in schema:
        for keyword in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema, dict) and keyword in schema:
                return draw(value_for(draw(st.sampled_from(schema[keyword]))))
        known = schema.get("enum", [schema.get("const", 1)]) if isinstance(schema, dict) else ["x"]
        return draw(st.sampled_from([*known, "", "xx", 0, 1, 1.5, None, True]))
    if schema["type"] == "object":
        return {
            name: draw(value_for(part)) for name, part in schema.get("properties", {}).items() if draw(st.booleans())
        }
    if schema["type"] == "array":
        return draw(st.lists(value_for(schema.get("items", True)), max_size=3))
    return draw(st.sampled_from(["", "x", "xxx", 0, 1, 2, 1.5, None, True]))


def found(old: Any, new: Any) -> list[Difference]:
    return list(Comparison(Document({}), Document({})).differences(old, new))


def good(value: Any, schema: Any) -> bool:
    return jsonschema.Draft7Validator(schema).is_valid(value)


def written(value: Any, schema: Any) -> bool:
    """Whether somebody who knows the schema sends this value: good, and without properties that it does not name."""
    return good(value, schema) and good(value, closed(schema))


def closed(schema: Any) -> Any:
    """The schema with objects that have no other properties than they name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    new = {
        keyword: {name: closed(part) for name, part in value.items()}
        if keyword == "properties"
        else closed(value)
        if keyword in ("items", "additionalProperties", "anyOf", "allOf", "oneOf")
        else value
        for keyword, value in schema.items()
    }
    return {"additionalProperties": False, **new} if schema.get("type") == "object" else new


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """An old schema, a new one, and a value for each."""
    old = draw(SCHEMAS)
    new = draw(edited(old))
    return old, new, draw(value_for(old)), draw(value_for(new))


@SETTINGS
@given(pairs())
def test_what_is_not_narrower_takes_every_old_value(drawn: tuple[Any, Any, Any, Any]) -> None:
    old, new, value, _ = drawn
    if written(value, old) and not any(one.narrows for one in found(old, new)):
        assert good(value, new)


@SETTINGS
@given(pairs())
def test_what_is_not_wider_takes_no_new_value(drawn: tuple[Any, Any, Any, Any]) -> None:
    old, new, _, value = drawn
    if written(value, new) and not any(one.widens for one in found(old, new)):
        assert good(value, old)


@settings(deadline=None)
@given(SCHEMAS)
def test_a_schema_differs_in_nothing_from_itself(schema: Any) -> None:
    assert found(schema, schema) == []


def test_a_schema_that_holds_itself_is_compared_to_its_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/node"}}, "additionalProperties": {"$ref": "#/node"}}
    old = Document({"node": node})
    new = Document({"node": {**node, "required": ["next"]}})
    [one] = Comparison(old, new).differences({"$ref": "#/node"}, {"$ref": "#/node"})
    assert (one.path, one.narrows, one.widens) == ("next", True, False)
    assert all(one.widens for one in Comparison(old, new).differences({"$ref": "#/node"}, True))


def test_branches_in_branches_are_compared_in_no_time() -> None:
    old: Any = {"type": "string"}
    for _ in range(60):
        old = {"allOf": [{"anyOf": [old]}]}
    new = {"allOf": [old, {"type": "integer"}]}
    assert any(one.narrows for one in found(old, new))
    assert found(old, old) == []


def test_what_is_not_understood_may_hold_itself_too() -> None:
    node = {"oneOf": [{"type": "string"}, {"items": {"$ref": "#/node"}}, {"contains": {"$ref": "#/node"}}]}
    old, new = Document({"node": node}), Document({"node": {"oneOf": [*node["oneOf"], {"type": "null"}]}})
    reference = {"$ref": "#/node"}
    assert list(Comparison(old, old).differences(reference, reference)) == []
    assert any(one.narrows and one.widens for one in Comparison(old, new).differences(reference, reference))
