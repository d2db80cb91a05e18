"""TOL-2. Whatever bytes a module is made of, it is refused in words or ends with a known outcome."""

import atexit
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import Module

from backend.adapters.wasmtime import guest
from backend.adapters.wasmtime.engine import new_engine
from tests.integration.adapters.wasmtime import guests

pytestmark = pytest.mark.integration
ENGINE = new_engine()
atexit.register(ENGINE.close)
BOUNDS = guest.Bounds(memory=2 * 1024 * 1024, fuel=200_000, output=4096)
OUTCOMES = {"ok", "trap", "out_of_fuel", "out_of_memory", "output_too_large"}
SEEDS = (guests.FINE, guests.ECHO, guests.COUNTING, guests.GREEDY, guests.TABLE_BOMB, guests.DEEP, guests.LOOP)


def outcome_of(code: bytes, input_json: bytes = b"{}") -> str:
    try:
        native = guest.compiled(ENGINE, code)
    except guest.Refused as refused:
        return "refused" if str(refused).endswith(".") else "no words"
    started = time.monotonic()
    ended = guest.run(ENGINE, Module.deserialize(ENGINE, native), input_json, BOUNDS)
    assert time.monotonic() - started < 5
    assert 0 <= ended.fuel_used <= BOUNDS.fuel
    assert len(ended.output) <= BOUNDS.output
    assert (ended.error == "") == (ended.outcome == "ok")
    return ended.outcome


edits = st.lists(st.tuples(st.integers(min_value=8, max_value=400), st.integers(0, 255)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), edits, st.binary(max_size=64))
def test_a_module_with_changed_bytes_ends_with_a_known_outcome(
    seed: bytes, edits: list[tuple[int, int]], given_input: bytes
) -> None:
    code = bytearray(seed)
    for position, value in edits:
        code[8 + position % (len(code) - 8)] = value
    assert outcome_of(bytes(code), given_input) in OUTCOMES | {"refused"}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 400), st.binary(max_size=32))
def test_a_module_that_was_cut_or_lengthened_ends_with_a_known_outcome(seed: bytes, cut: int, tail: bytes) -> None:
    assert outcome_of(seed[: cut % len(seed)] + tail) in OUTCOMES | {"refused"}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_end_with_a_known_outcome(tail: bytes) -> None:
    assert outcome_of(tail) == "refused"
    assert outcome_of(b"\0asm\1\0\0\0" + tail) in OUTCOMES | {"refused"}


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=100))
def test_any_place_that_a_guest_names_is_checked(packed: int, pointer: int, given_input: bytes) -> None:
    alloc = f'(func (export "alloc") (param i32) (result i32) i32.const {pointer})'
    assert outcome_of(guests.guest(f"i64.const {packed}", alloc=alloc), given_input) in OUTCOMES
