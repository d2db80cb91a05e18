"""TOL-1. Schemas that are taken, and words for values that do not fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from backend.domain.tools.rules.schema import schema_fault, value_faults

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "maxLength": 5},
        "days": {"type": "integer", "minimum": 1, "exclusiveMaximum": 8},
        "unit": {"enum": ["C", "F"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "place": {"type": "object", "required": ["lat"], "properties": {"lat": {"type": ["number", "null"]}}},
        "even": {"multipleOf": 2},
    },
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"city": "Graz"}, ()),
        ({}, ('"city" is missing.',)),
        ([], ("The arguments must be an object, but it is [].",)),
        ({"city": 3}, ('"city" must be a string, but it is 3.',)),
        ({"city": "A"}, ('"city" must have at least 2 characters, but it has 1.',)),
        ({"city": "Salzburg"}, ('"city" may have at most 5 characters, but it has 8.',)),
        ({"city": "Graz", "days": 0}, ('"days" must be at least 1, but it is 0.',)),
        ({"city": "Graz", "days": 8}, ('"days" must be less than 8, but it is 8.',)),
        ({"city": "Graz", "days": 1.5}, ('"days" must be an integer, but it is 1.5.',)),
        ({"city": "Graz", "unit": "K"}, ('"unit" must be one of "C", "F", but it is "K".',)),
        ({"city": "Graz", "tags": ["a", 1]}, ('"tags[1]" must be a string, but it is 1.',)),
        ({"city": "Graz", "tags": ["a", "b", "c"]}, ('"tags" may have at most 2 items, but it has 3.',)),
        ({"city": "Graz", "place": {}}, ('"place.lat" is missing.',)),
        ({"city": "Graz", "place": {"lat": "x"}}, ('"place.lat" must be a number or null, but it is "x".',)),
        ({"city": "Graz", "even": 3}, ('"even" does not fit: 3 is not a multiple of 2.',)),
        (
            {"city": "Graz", "town": 1},
            ('"town" is unknown; there is "city", "days", "unit", "tags", "place", "even".',),
        ),
    ],
)
def test_a_value_that_does_not_fit_is_said_in_words(value: Any, faults: tuple[str, ...]) -> None:
    assert value_faults(SCHEMA, value, "the arguments") == faults


def test_a_tool_without_arguments_says_so() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    assert value_faults(schema, {"a": 1}, "the arguments") == ('"a" is unknown; nothing is expected here.',)


def test_no_more_than_five_faults_are_told_and_long_values_are_cut() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    faults = value_faults(schema, {f"k{n}": "x" * 1000 for n in range(9)}, "the arguments")
    assert len(faults) == 5
    assert all(len(fault) < 200 for fault in faults)


def test_a_value_that_is_nested_too_deeply_is_said_in_words() -> None:
    nested: Any = 1
    for _ in range(100_000):
        nested = [nested]
    schema = {"type": "object", "properties": {"a": {"const": [1]}}}
    assert all("nested" in fault or "fit" in fault for fault in value_faults(schema, {"a": nested}, "the arguments"))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (3, "must be a table"),
        ({}, "`type` must be"),
        ({"type": "array"}, "`type` must be"),
        ({"type": "object", "$ref": "https://example.com/schema"}, "`$ref` is not supported"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "`$ref` is not supported"),
        ({"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}}, "`pattern` is not supported"),
        ({"type": "object", "patternProperties": {"(a+)+$": {}}}, "`patternProperties` is not supported"),
        ({"type": "object", "allOf": [{"$dynamicRef": "#x"}]}, "`$dynamicRef` is not supported"),
        ({"type": "object", "$id": "https://example.com"}, "`$id` is not supported"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "properties.a.type"),
        ({"type": "object", "required": "a"}, "required"),
        ({"type": "object", "description": "x" * 40_000}, "larger than 32 KiB"),
    ],
)
def test_a_schema_that_is_not_taken_says_why(schema: object, words: str) -> None:
    assert words in schema_fault(schema)


def test_a_schema_that_is_nested_too_deeply_is_not_taken() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(20):
        schema = {"type": "object", "properties": {"a": schema}}
    assert "nested" in schema_fault(schema)


@pytest.mark.parametrize("name", ["pattern", "$ref", "$id"])
def test_an_argument_may_have_the_name_of_a_refused_keyword(name: str) -> None:
    assert schema_fault({"type": "object", "properties": {name: {"type": "string"}}}) == ""
    assert schema_fault({"type": "object", "properties": {"a": {"enum": [{name: 1}]}}}) == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), json_values) | json_values)  # type: ignore[misc]
def test_a_value_has_faults_exactly_when_the_library_refuses_it(value: Any) -> None:
    faults = value_faults(SCHEMA, value, "the arguments")
    assert bool(faults) != Draft202012Validator(SCHEMA).is_valid(value)
    assert all(fault.endswith(".") for fault in faults)


@given(st.dictionaries(st.text(max_size=9), json_values))
def test_any_schema_is_taken_or_refused_in_words(schema: dict[str, Any]) -> None:
    given_type = {"type": "object", **schema}
    if schema_fault(given_type) == "":
        value_faults(given_type, {"a": 1}, "the arguments")
