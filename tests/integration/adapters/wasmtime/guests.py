"""Guests that behave, and guests that do not."""

import hashlib

from wasmtime import wat2wasm

from backend.domain.tools.ports import Limits, SandboxCall

ALLOC = '(func (export "alloc") (param i32) (result i32) i32.const 1024)'


def guest(run: str, *, memory: str = '(memory (export "memory") 2)', more: str = "", alloc: str = ALLOC) -> bytes:
    """A module whose `run` has the given body; parameters are $at and $size."""
    signature = '(func (export "run") (param $at i32) (param $size i32) (result i64)'
    return bytes(wat2wasm(f"(module {memory} {more} {alloc} {signature} {run}))"))


def answering(text: str) -> bytes:
    """A module that answers every call with the same text."""
    data = "".join(f"\\{byte:02x}" for byte in text.encode())
    return guest(f"i64.const {len(text.encode())}", more=f'(data (i32.const 0) "{data}")')


def call_of(code: bytes, input_json: bytes = b"{}", **limits: float) -> SandboxCall:
    """A call of a module."""
    return SandboxCall(
        sha256=hashlib.sha256(code).hexdigest(),
        code=code,
        input=input_json,
        limits=Limits(**limits),  # type: ignore[arg-type]
    )


FINE = answering('{"ok": 42}')
LOOP = guest("(loop br 0) i64.const 0")

# {"ok":<the input>}
ECHO = guest(
    """
    (memory.copy (i32.const 6) (local.get $at) (local.get $size))
    (i32.store8 (i32.add (local.get $size) (i32.const 6)) (i32.const 125))
    (i64.extend_i32_u (i32.add (local.get $size) (i32.const 7)))
    """,
    more='(data (i32.const 0) "{\\22ok\\22:")',
)

# Counts its calls in its own memory: {"ok": <digit>}
COUNTING = guest(
    """
    (i32.store8 (i32.const 7) (i32.add (i32.load8_u (i32.const 7)) (i32.const 1)))
    i64.const 9
    """,
    more='(data (i32.const 0) "{\\22ok\\22: 0}")',
)

GREEDY = guest(
    """
    (loop
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (memory.fill (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1) (i32.const 65536))
      br 0)
    i64.const 0
    """
)
TABLE_BOMB = guest(
    """
    (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
    i64.const 11
    """,
    more='(table 1 funcref) (data (i32.const 0) "{\\22ok\\22: 123}")',
)
DEEP = guest("(call $deep (i32.const 1)) i64.const 0", more="(func $deep (param i32) (call $deep (local.get 0)))")
STARTS_BADLY = guest("i64.const 0", more="(func $start unreachable) (start $start)")
STARTS_FOR_EVER = guest("i64.const 0", more="(func $start (loop br 0)) (start $start)")
