"""TOL-2. Each limit bites, with its own outcome, and the sandbox goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.domain.tools.errors import ModuleRefused
from tests.integration.adapters.wasmtime import guests
from tests.integration.adapters.wasmtime.guests import answering, call_of, guest

pytestmark = pytest.mark.integration
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
async def goes_on(sandbox: WasmtimeSandbox):
    """Whatever a guest did, the next call gets its answer."""
    yield
    result = await sandbox.call(call_of(guests.FINE))
    assert (result.outcome, result.output) == ("ok", b"42")


async def test_a_guest_answers_its_input(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.ECHO, '{"name": "Zoë 🙂"}'.encode()))
    assert (result.outcome, result.output.decode()) == ("ok", '{"name": "Zoë 🙂"}')
    assert 0 < result.fuel_used < 1000


async def test_every_call_has_an_instance_of_its_own(sandbox: WasmtimeSandbox) -> None:
    outputs = [(await sandbox.call(call_of(guests.COUNTING))).output for _ in range(5)]
    assert outputs == [b"1"] * 5


async def test_an_endless_loop_runs_out_of_fuel(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.LOOP, fuel=1_000_000))
    assert (result.outcome, result.fuel_used) == ("out_of_fuel", 1_000_000)


async def test_an_endless_loop_with_fuel_is_stopped_by_time_and_costs_no_child(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.LOOP, fuel=10**12, timeout_s=0.2))
    assert result.outcome == "timeout"
    assert 195 <= result.duration_ms < 450
    assert (await sandbox.health()).kills == 0


async def test_a_time_limit_that_was_cut_short_does_not_reach_the_next_call(sandbox: WasmtimeSandbox) -> None:
    assert (await sandbox.call(call_of(guests.FINE, timeout_s=0.05))).outcome == "ok"
    slow = await sandbox.call(call_of(guests.LOOP, fuel=200_000_000, timeout_s=5))
    assert slow.outcome == "out_of_fuel"
    assert slow.duration_ms > 50


async def test_a_memory_bomb_is_out_of_memory(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.GREEDY, memory_bytes=32 * MIB))
    assert result.outcome == "out_of_memory"
    assert "of 32 MiB in use" in result.error


async def test_a_memory_that_is_too_large_from_the_start_is_out_of_memory(sandbox: WasmtimeSandbox) -> None:
    large = guest("i64.const 0", memory='(memory (export "memory") 1000)')
    assert (await sandbox.call(call_of(large, memory_bytes=16 * MIB))).outcome == "out_of_memory"


async def test_the_address_space_bounds_a_guest_whose_limit_is_wider(
    open_sandbox: Callable[..., WasmtimeSandbox],
) -> None:
    narrow = open_sandbox(address_space=256 * MIB)
    result = await narrow.call(call_of(guests.GREEDY, memory_bytes=512 * MIB))
    assert result.outcome in ("out_of_memory", "trap")
    assert (await narrow.call(call_of(guests.FINE))).outcome == "ok"


async def test_a_table_bomb_stops_growing(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.TABLE_BOMB))
    assert (result.outcome, result.output) == ("ok", b"123")


async def test_a_table_that_is_too_large_from_the_start_is_out_of_memory(sandbox: WasmtimeSandbox) -> None:
    large = guest("i64.const 0", more="(table 1000000 funcref)")
    assert (await sandbox.call(call_of(large))).outcome == "out_of_memory"


async def test_deep_recursion_is_a_trap_with_words(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(guests.DEEP))
    assert result.outcome == "trap"
    assert "stack" in result.error


async def test_a_trap_in_the_start_function_is_a_trap(sandbox: WasmtimeSandbox) -> None:
    assert (await sandbox.call(call_of(guests.STARTS_BADLY))).outcome == "trap"


async def test_an_endless_start_function_is_bounded_too(sandbox: WasmtimeSandbox) -> None:
    assert (await sandbox.call(call_of(guests.STARTS_FOR_EVER, fuel=1_000_000))).outcome == "out_of_fuel"
    stopped = await sandbox.call(call_of(guests.STARTS_FOR_EVER, fuel=10**12, timeout_s=0.1))
    assert stopped.outcome == "timeout"


async def test_an_output_above_the_bound_is_refused(sandbox: WasmtimeSandbox) -> None:
    huge = guest("i64.const 70000")
    result = await sandbox.call(call_of(huge, output_bytes=65536))
    assert result.outcome == "output_too_large"
    assert "70,000" in result.error


@pytest.mark.parametrize("packed", ["0x7fffffff00000010", "-1", "0x00010000ffffffff", "0x0001fff000001000"])
async def test_an_output_outside_of_the_memory_is_refused(sandbox: WasmtimeSandbox, packed: str) -> None:
    result = await sandbox.call(call_of(guest(f"i64.const {packed}")))
    assert result.outcome in ("trap", "output_too_large")


@pytest.mark.parametrize("pointer", ["-1", "0x7fffffff", "131071"])
async def test_an_alloc_outside_of_the_memory_is_refused(sandbox: WasmtimeSandbox, pointer: str) -> None:
    alloc = f'(func (export "alloc") (param i32) (result i32) i32.const {pointer})'
    result = await sandbox.call(call_of(guest("i64.const 0", alloc=alloc), b'{"a": 1}'))
    assert result.outcome == "trap"
    assert "alloc" in result.error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "ABI"),
        ("{}", "neither"),
        ('{"error": ""}', "did not say why"),
        ('{"error": 7}', "ABI"),
        ("[" * 5000, "ABI"),
        ('{"ok": 1', "ABI"),
        ('{"ok": NaN}', "ABI"),
    ],
)
async def test_an_answer_that_is_no_answer_is_an_error(sandbox: WasmtimeSandbox, text: str, words: str) -> None:
    result = await sandbox.call(call_of(answering(text)))
    assert result.outcome == "error"
    assert words in result.error
    assert result.output == b""


async def test_an_answer_that_is_no_utf8_is_an_error(sandbox: WasmtimeSandbox) -> None:
    code = guest("i64.const 9", more='(data (i32.const 0) "{\\22ok\\22:\\22\\ff\\22}")')
    assert (await sandbox.call(call_of(code))).outcome == "error"


async def test_the_tools_own_error_is_an_error(sandbox: WasmtimeSandbox) -> None:
    result = await sandbox.call(call_of(answering('{"error": "No such city."}')))
    assert (result.outcome, result.error) == ("error", "No such city.")


MODULES = {
    "empty": b"",
    "text": b"(module)",
    "magic alone": b"\0asm",
    "truncated": guests.FINE[: len(guests.FINE) // 2],
    "garbage": b"\0asm\1\0\0\0" + bytes(range(256)),
    "component": b"\0asm\x0d\0\1\0",
    "no exports": b"\0asm\1\0\0\0",
}


@pytest.mark.parametrize("name", MODULES)
async def test_bytes_that_are_no_module_are_refused(sandbox: WasmtimeSandbox, name: str) -> None:
    call = call_of(MODULES[name])
    with pytest.raises(ModuleRefused):
        await sandbox.prepare(call.sha256, call.code)
    assert (await sandbox.call(call)).outcome == "error"


@pytest.mark.parametrize(
    "imported",
    [
        '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
        '(import "env" "abort" (func (param i32 i32 i32 i32)))',
        '(import "env" "sleep" (func))',
    ],
)
async def test_an_import_is_refused_by_its_name(sandbox: WasmtimeSandbox, imported: str) -> None:
    call = call_of(guest("i64.const 0", memory="", more=f'{imported} (memory (export "memory") 1)'))
    name = ".".join(imported.split('"')[1:4:2])
    with pytest.raises(ModuleRefused, match=f"`{name}`"):
        await sandbox.prepare(call.sha256, call.code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (guest("i64.const 0", memory="(memory 1)"), "memory"),
        (guest("i64.const 0", alloc=""), "alloc"),
        (guest("i64.const 0", alloc='(func (export "alloc") (result i32) i32.const 0)'), "alloc"),
        (guest("i64.const 0", memory='(memory 1) (global (export "memory") i32 (i32.const 1))'), "memory"),
    ],
)
async def test_a_missing_or_wrong_export_is_named(sandbox: WasmtimeSandbox, code: bytes, words: str) -> None:
    call = call_of(code)
    with pytest.raises(ModuleRefused, match=words):
        await sandbox.prepare(call.sha256, call.code)


async def test_code_under_a_digest_that_is_not_its_own_is_refused(sandbox: WasmtimeSandbox) -> None:
    """TOL-3."""
    with pytest.raises(ModuleRefused, match="digest"):
        await sandbox.prepare("0" * 64, answering('{"ok": "other"}'))


def large() -> bytes:
    """Thousands of functions that cannot be made shorter."""
    loads = "(i32.load (local.get $a)) i32.mul (local.get $a) i32.xor " * 60
    return guest("i64.const 0", more=f"(func (param $a i32) (result i32) (local.get $a) {loads})" * 2000)


@pytest.mark.parametrize("settings", [{"compile_s": 0.02}, {"compile_memory": 8 * MIB}], ids=["time", "memory"])
async def test_a_module_that_takes_too_much_to_compile_is_refused(
    open_sandbox: Callable[..., WasmtimeSandbox], tmp_path: Path, settings: dict[str, float]
) -> None:
    narrow = open_sandbox(folder=tmp_path, **settings)
    call = call_of(large())
    with pytest.raises(ModuleRefused, match="could not be compiled"):
        await narrow.prepare(call.sha256, call.code)
