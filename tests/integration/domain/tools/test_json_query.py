"""TOL-1. The JSON tool: a strict reader, and a part of JMESPath."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.domain.tools.starter_guest import Fault, ask

pytestmark = pytest.mark.integration
DOCUMENT = {
    "user": {
        "name": "Zoë",
        "items": [{"name": "pen", "price": 1.5}, {"name": "book", "price": 20}, {"colour": None}],
    },
    "grid": [[1, 2], [3, [4]], 5],
    "empty": {},
    "odd key": {"a.b": 1},
}


def query(text: str, document: Any = DOCUMENT) -> Any:
    answer = ask("json-query", json=document, query=text)
    return answer if isinstance(answer, Fault) else answer["result"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ["user", "grid", "empty", "odd key"]),
        ("@", DOCUMENT),
        (".", DOCUMENT),
        ("user.name", "Zoë"),
        (".user.name", "Zoë"),
        ("user.items[0].name", "pen"),
        ("user.items[-1]", {"colour": None}),
        ("user.items[9]", None),
        ("user.items[*].name", ["pen", "book"]),
        ("user.items[].price", [1.5, 20]),
        ("user.items[1:].name", ["book"]),
        ("user.items[::-1].name", ["book", "pen"]),
        ("user.items[:1] | [0].name", "pen"),
        ("user.items[*].name | [1]", "book"),
        ("(user.items[*].name)[0]", "pen"),
        ("user.items[?price > `2`].name", ["book"]),
        ("user.items[?price>=1.5 && price < 20].name | [0]", "pen"),
        ("user.items[?name == 'pen' || name == \"book\"].name", ["pen"]),
        ("user.items[?name == 'pen' || price == `20`].price", [1.5, 20]),
        ("user.items[?!name]", [{"colour": None}]),
        ("user.items[?name != 'pen'].name", ["book"]),
        ("user.*", ["Zoë", DOCUMENT["user"]["items"]]),  # type: ignore[index]
        ("grid[]", [1, 2, 3, [4], 5]),
        ("grid[][]", [1, 2, 3, 4, 5]),
        ("grid[*][0]", [1, 3]),
        ("empty.*", []),
        ("nothing.here[0].at.all", None),
        ("nothing || user.name", "Zoë"),
        ("user && user.name", "Zoë"),
        ('"odd key"."a.b"', 1),
        ("['odd key']['a.b']", 1),
        ("keys(@)", ["user", "grid", "empty", "odd key"]),
        ("keys(user)", ["name", "items"]),
        ("keys", ["user", "grid", "empty", "odd key"]),
        ("values(user) | [0]", "Zoë"),
        ("length(user.items)", 3),
        ("length(user.name)", 3),
        ("length", 4),
        ("user.items | length(@)", 3),
        ("user.items[*].length(name) | [0]", None),
        ("type(user.items)", "array"),
        ("type(nothing)", "null"),
        ("grid[?type(@) == 'number']", [5]),
    ],
)
def test_a_query_has_its_result(text: str, result: Any) -> None:
    if text == "user.items[*].length(name) | [0]":
        assert "length() needs" in query(text)
        return
    assert query(text) == result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user.", "ends where a name is expected"),
        ("user..name", 'found "." where a name'),
        ("user.items[", "an index"),
        ("user.items[0", "where ']' is expected"),
        ("user.items[a]", "an index"),
        ("user.items[::0]", "must not be 0"),
        ("user name", "where an operator is expected"),
        ("upper(@)", "there are keys, values, length, type"),
        ("keys(grid)", "needs an object, but this is an array"),
        ("length(`1`)", "this is a number"),
        ("'open", 'where "\'" is expected'),
        ("`open", "where '`' is expected"),
        ('"open', "double quotes"),
        ("(" * 50, "nested more than 32"),
        ("!" * 50 + "a", "nested more than 32"),
        ("a" * 3000, "longer than 2000"),
        ("a[99999999999]", "too large"),
    ],
)
def test_a_wrong_query_is_said_in_words(text: str, words: str) -> None:
    answer = query(text)
    assert isinstance(answer, Fault)
    assert words in answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "line 1, column 9: a key in double quotes"),
        ('{"a": 1\n "b": 2}', "line 2, column 2: ',' or '}'"),
        ("[1, 2", "column 6: ',' or ']' is expected, but it ends here"),
        ('{"a" 1}', "':' is expected"),
        ('{"a": 1, "a": 2}', 'the key "a" appears twice'),
        ("{'a': 1}", "a key in double quotes"),
        ("[01]", "may not begin with 0"),
        ("[1.]", "after the point"),
        ("[1e]", "in the exponent"),
        ("[NaN]", "a value is expected"),
        ('["\\x"]', "escape is unknown"),
        ('["\\u12g4"]', "four hexadecimal"),
        ('["🙂🙂"x]', "line 1, column 6"),
        ('["a\nb"]', "control character"),
        ('["open', "not closed"),
        ("", "a value is expected, but it ends here"),
        ("1 2", "nothing may follow"),
        ("[" * 300, "nested more than 200"),
    ],
)
def test_broken_json_is_said_with_its_place(text: str, words: str) -> None:
    answer = query("@", text)
    assert isinstance(answer, Fault)
    assert words in answer


def test_numbers_keep_every_digit() -> None:
    text = '{"large": 123456789012345678901234567890, "exact": 0.1000}'
    answer = ask("json-query", json=text, query="large")
    assert answer["result"] == 123456789012345678901234567890


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_any_document_comes_back_as_it_was(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False)
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return
    assert query("@", text) == document


@given(st.text(max_size=100))
def test_what_pythons_reader_refuses_is_refused(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda name: json.loads(name + "?"))
    except ValueError:
        assert isinstance(query("@", text), Fault)
    else:
        assert not isinstance(query("@", text), Fault)


@given(st.text(alphabet="ab.[]*?:-01@!&|=<>()'\"` keyslength", max_size=40) | st.text(max_size=40))
def test_any_query_gets_a_result_or_words(text: str) -> None:
    query(text)


indexes = st.none() | st.integers(min_value=-12, max_value=12)


@given(st.lists(st.integers(), max_size=8), indexes, indexes, indexes.filter(lambda step: step != 0))
def test_a_slice_is_pythons(items: list[int], start: int | None, stop: int | None, step: int | None) -> None:
    text = ":".join("" if bound is None else str(bound) for bound in (start, stop, step))
    assert query(f"[{text}]", items) == items[start:stop:step]
