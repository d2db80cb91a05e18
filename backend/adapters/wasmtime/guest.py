"""One call of a guest in a fresh store and instance, and the check of a module before it is compiled."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from wasmtime import Engine, Func, Instance, Memory, Module, Store, Trap, TrapCode, WasmtimeError

_MAGIC = b"\0asm\x01\0\0\0"
_TABLE_ELEMENTS = 10_000
_TABLES = 4
_EXPORTS = {
    "memory": "a memory named `memory`",
    "alloc": "`alloc(size: i32) -> i32`",
    "run": "`run(pointer: i32, length: i32) -> i64`",
}
_TRAPS = {
    TrapCode.OUT_OF_FUEL: ("out_of_fuel", "The tool used up its fuel."),
    TrapCode.INTERRUPT: ("timeout", "The tool ran longer than its timeout."),
    TrapCode.STACK_OVERFLOW: ("trap", "The tool's calls are nested too deeply: its stack is full."),
    TrapCode.ALLOCATION_TOO_LARGE: ("out_of_memory", "The tool asked for more memory than its limit."),
}


class Refused(Exception):
    """A module that may not run here; the text says why and what to change."""


class Bounds(NamedTuple):
    """The limits of a call: bytes of memory, units of fuel, bytes of output. Time is the alarm's."""

    memory: int
    fuel: int
    output: int


@dataclass(slots=True)
class Ended:
    """How a call ended; ``output`` is what `run` pointed to when ``outcome`` is ``ok``."""

    outcome: str
    output: bytes = b""
    error: str = ""
    fuel_used: int = 0
    duration_ms: float = 0.0


def compiled(engine: Engine, code: bytes) -> bytes:
    """Return the module as native code; raise `Refused` for what is no module of the tool ABI."""
    if not code.startswith(_MAGIC):
        raise Refused(_not_a_module(code))
    try:
        module = Module(engine, code)
    except WasmtimeError as error:
        raise Refused(f"The file is no valid WebAssembly module: {_last_line(error)}.") from error
    _check_imports(module)
    _check_exports(module)
    return bytes(module.serialize())


def run(engine: Engine, module: Module, input_json: bytes, bounds: Bounds) -> Ended:
    """Call the module once, in a store that is thrown away afterwards."""
    store = Store(engine)
    try:
        store.set_limits(
            memory_size=bounds.memory, table_elements=_TABLE_ELEMENTS, instances=1, tables=_TABLES, memories=1
        )
        store.set_fuel(bounds.fuel)
        store.set_epoch_deadline(1)
        started = time.perf_counter()
        ended = _run(store, module, input_json, bounds)
        ended.duration_ms = (time.perf_counter() - started) * 1000
        ended.fuel_used = bounds.fuel - store.get_fuel()
        return ended
    finally:
        store.close()


def _run(store: Store, module: Module, input_json: bytes, bounds: Bounds) -> Ended:
    memory: Memory | None = None
    try:
        exports = Instance(store, module, []).exports(store)
        memory = _memory(exports["memory"])
        pointer = _integer(_function(exports["alloc"])(store, len(input_json))) & 0xFFFFFFFF
        if not _write(store, memory, input_json, pointer):
            return Ended("trap", error="`alloc` returned a place outside of the tool's memory.")
        packed = _integer(_function(exports["run"])(store, _signed(pointer), len(input_json)))
        return _output(store, memory, packed & 0xFFFFFFFFFFFFFFFF, bounds.output)
    except Trap as trap:
        return _trapped(trap, memory.data_len(store) if memory else 0, bounds.memory)
    except WasmtimeError as error:
        return _not_started(error)


def _output(store: Store, memory: Memory, packed: int, output_max: int) -> Ended:
    start, size = packed >> 32, packed & 0xFFFFFFFF
    if size > output_max:
        return Ended("output_too_large", error=f"The tool returned {size:,} bytes; {output_max:,} are allowed.")
    if start + size > memory.data_len(store):
        return Ended("trap", error="`run` returned a place outside of the tool's memory.")
    return Ended("ok", output=bytes(memory.read(store, start, start + size)))


def _write(store: Store, memory: Memory, data: bytes, start: int) -> bool:
    if start + len(data) > memory.data_len(store):
        return False
    if data:
        memory.write(store, data, start)
    return True


def _trapped(trap: Trap, memory_now: int, memory_max: int) -> Ended:
    code = trap.trap_code
    if code in _TRAPS:
        outcome, words = _TRAPS[code]
        return Ended(outcome, error=words)
    # A guest whose `memory.grow` was refused mostly gives up by itself; nothing but the size tells why.
    if code is TrapCode.UNREACHABLE and memory_now * 2 > memory_max:
        words = f"The tool ran out of memory: it gave up with {memory_now >> 20} of {memory_max >> 20} MiB in use."
        return Ended("out_of_memory", error=words)
    return Ended("trap", error=f"The tool broke off: {_last_line(trap)}.")


def _not_started(error: WasmtimeError) -> Ended:
    words = _last_line(error)
    if "exceeds memory limits" in words or "exceeds table limits" in words:
        return Ended("out_of_memory", error=f"The tool needs more than its limit before it starts: {words}.")
    return Ended("trap", error=f"The tool could not start: {words}.")


def _check_imports(module: Module) -> None:
    names = [f"`{entry.module}.{entry.name or ''}`" for entry in module.imports]
    if names:
        raise Refused(
            f"The module imports {', '.join(names[:8])}, and the sandbox offers no imports. "
            "Build it without them: a tool gets its input as JSON and can reach nothing else."
        )


def _check_exports(module: Module) -> None:
    found = {entry.name: _shape(entry.type) for entry in module.exports}
    for name, wanted in (("memory", "memory"), ("alloc", "(i32) -> (i32)"), ("run", "(i32, i32) -> (i64)")):
        if found.get(name) != wanted:
            was = f"it is {found[name]}" if name in found else "it is missing"
            raise Refused(f"The module must export {_EXPORTS[name]}, but {was}.")


def _shape(kind: object) -> str:
    params, results = getattr(kind, "params", None), getattr(kind, "results", None)
    if params is None or results is None:
        return type(kind).__name__.removesuffix("Type").lower()
    return f"({', '.join(map(str, params))}) -> ({', '.join(map(str, results))})"


def _not_a_module(code: bytes) -> str:
    if code[:4] == _MAGIC[:4] and len(code) >= len(_MAGIC):
        return "The file is a WebAssembly component or of another version; a tool is a core module of version 1."
    return "The file is no WebAssembly module: it does not begin with the magic bytes of one."


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("wasm trap: ")[:300] if lines else "no reason given"


def _memory(export: object) -> Memory:
    if not isinstance(export, Memory):
        raise WasmtimeError("`memory` is no memory")
    return export


def _function(export: object) -> Callable[..., object]:
    if not isinstance(export, Func):
        raise WasmtimeError("an export of the ABI is no function")
    return export


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise WasmtimeError("a function of the ABI returned no integer")
    return value


def _signed(pointer: int) -> int:
    return pointer - (1 << 32) if pointer >= 1 << 31 else pointer
