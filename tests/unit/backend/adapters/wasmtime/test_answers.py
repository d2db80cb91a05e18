"""TOL-2. A child that a guest took over can send what it likes; it is believed only where it has the shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.wasmtime.answers import Ended, Loaded, understood
from backend.adapters.wasmtime.frames import Frame
from backend.adapters.wasmtime.process import ChildGone

GOOD: dict[str, Any] = {"outcome": "ok", "error": "", "fuel": 1, "ms": 0.5, "rss": 1}


def test_an_answer_of_the_right_shape_is_read() -> None:
    assert understood(Frame(GOOD, b""), Ended).fuel == 1
    assert understood(Frame({"ok": True}, b""), Loaded).ok


@pytest.mark.parametrize(
    "header",
    [{}, GOOD | {"outcome": "busy"}, GOOD | {"outcome": ["ok"]}, GOOD | {"fuel": "1"}, GOOD | {"rss": None}, {"ok": 1}],
)
def test_any_other_answer_ends_the_child(header: dict[str, Any]) -> None:
    for shape in (Ended, Loaded):
        with pytest.raises(ChildGone):
            understood(Frame(header, b""), shape)


@given(st.dictionaries(st.sampled_from([*GOOD, "ok"]), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_answer_is_read_or_ends_the_child(header: dict[str, Any]) -> None:
    try:
        understood(Frame(header, b""), Ended)
    except ChildGone as gone:
        assert gone.signal == 0  # noqa: PT017 - either way is right
