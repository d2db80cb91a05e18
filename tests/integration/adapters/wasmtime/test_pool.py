"""TOL-2. Children come and go; only the call that a child died with is lost."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.foundation.kernel.errors import Unavailable
from tests.fixtures.waiting import until
from tests.integration.adapters.wasmtime import guests
from tests.integration.adapters.wasmtime.conftest import children_of
from tests.integration.adapters.wasmtime.guests import answering, call_of

pytestmark = pytest.mark.integration
MIB = 1024 * 1024
Open = Callable[..., WasmtimeSandbox]
ENDLESS = call_of(guests.LOOP, fuel=10**15, timeout_s=30)
FINE = call_of(guests.FINE)


def names_in(folder: str) -> set[str]:
    return {entry.name for entry in Path(folder).iterdir()}


def has_ended(pid: int) -> bool:
    """Whether a child has gone: one that is on its way out has no command line any more, but its connection still."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def fact(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


async def test_one_child_starts_and_the_second_when_it_is_needed(sandbox: WasmtimeSandbox) -> None:
    assert len(children_of()) == 1
    await sandbox.call(FINE)
    assert len(children_of()) == 1
    running = asyncio.create_task(sandbox.call(ENDLESS))
    await until(lambda: sandbox.children == 1 and not running.done() and sandbox.active == 1)
    assert (await sandbox.call(FINE)).outcome == "ok"
    assert len(children_of()) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_child_has_no_environment_no_files_and_an_empty_folder(sandbox: WasmtimeSandbox) -> None:
    """Nothing to find for a guest that would break out of wasmtime."""
    (pid,) = children_of()
    process = psutil.Process(pid)
    assert process.environ() == {}
    assert names_in(process.cwd()) == set()
    assert names_in(f"/proc/{pid}/fd") == {"0", "1", "2"}
    limits = fact(pid, "limits")
    for name, value in (("core file size", "0"), ("file size", "0"), ("processes", "0"), ("open files", "16")):
        (line,) = (line for line in limits.splitlines() if line.startswith(f"Max {name}"))
        assert line.split()[len(name.split()) + 1] == value
    assert "NoNewPrivs:\t1" in fact(pid, "status")


async def test_a_child_is_small(sandbox: WasmtimeSandbox) -> None:
    await sandbox.call(FINE)
    (pid,) = children_of()
    (pss,) = (int(line.split()[1]) for line in fact(pid, "smaps_rollup").splitlines() if line.startswith("Pss:"))
    assert pss < 45 * 1024


async def test_cancelling_a_call_ends_its_guest(sandbox: WasmtimeSandbox) -> None:
    await sandbox.call(FINE)
    (pid,) = children_of()
    running = asyncio.create_task(sandbox.call(ENDLESS))
    await until(lambda: psutil.Process(pid).cpu_times().user > 0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not psutil.pid_exists(pid))
    assert (await sandbox.call(FINE)).outcome == "ok"
    assert pid not in children_of()


async def test_a_child_that_is_killed_while_idle_costs_no_call(sandbox: WasmtimeSandbox) -> None:
    (pid,) = children_of()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: has_ended(pid))
    assert (await sandbox.call(FINE)).outcome == "ok"
    assert pid not in children_of()


async def test_a_child_that_is_killed_as_it_is_lent_costs_no_call(open_sandbox: Open) -> None:
    """Whatever of its end the pool has seen yet when it lends it."""
    sandbox = open_sandbox(children=1)
    for _ in range(5):
        await sandbox.start()
        (pid,) = children_of()
        os.kill(pid, signal.SIGKILL)
        assert (await sandbox.call(FINE)).outcome == "ok"
        assert pid not in children_of()


@pytest.mark.parametrize("warm", [False, True], ids=["before it was loaded", "when it was loaded"])
async def test_a_call_whose_child_dies_without_having_read_it_goes_to_another(open_sandbox: Open, warm: bool) -> None:
    sandbox = open_sandbox(children=1)
    if warm:
        await sandbox.call(FINE)
    await sandbox.start()
    (pid,) = children_of()
    os.kill(pid, signal.SIGSTOP)
    calling = asyncio.create_task(sandbox.call(FINE))
    # Nothing is awaited between lending and writing: what is lent has its request.
    await until(lambda: sandbox.active == 1)
    os.kill(pid, signal.SIGKILL)
    assert (await calling).outcome == "ok"
    assert (await sandbox.health()).kills == 1


async def test_a_child_that_is_killed_at_work_costs_its_call_alone(open_sandbox: Open) -> None:
    sandbox = open_sandbox(children=2)
    running = asyncio.create_task(sandbox.call(ENDLESS))
    # Active: until then the only child is the one that compiles.
    await until(lambda: sandbox.active == 1)
    (pid,) = children_of()
    await until(lambda: psutil.Process(pid).cpu_times().user > 0.5)
    other = asyncio.create_task(sandbox.call(FINE))
    os.kill(pid, signal.SIGKILL)
    lost = await running
    assert lost.outcome == "trap"
    assert "signal 9" in lost.error
    assert (await other).outcome == "ok"
    assert (await sandbox.health()).kills == 1
    await until(lambda: sandbox.children == 2)


async def test_a_child_that_hangs_is_killed_by_the_parent(sandbox: WasmtimeSandbox) -> None:
    """A stopped process gets no signal of its own timer: the second net holds."""
    await sandbox.call(FINE)
    (pid,) = children_of()
    os.kill(pid, signal.SIGSTOP)
    result = await sandbox.call(call_of(guests.FINE, timeout_s=0.1))
    assert result.outcome == "timeout"
    await until(lambda: not psutil.pid_exists(pid))
    assert (await sandbox.call(FINE)).outcome == "ok"


@pytest.mark.parametrize(
    "settings", [{"recycle_calls": 3}, {"recycle_age_s": 0.0}, {"recycle_memory": 1}], ids=["calls", "age", "memory"]
)
async def test_a_child_is_replaced_between_calls(open_sandbox: Open, settings: dict[str, float]) -> None:
    sandbox = open_sandbox(children=1, **settings)
    seen: set[int] = set()
    for _ in range(6):
        assert (await sandbox.call(FINE)).outcome == "ok"
        seen.update(children_of())
    await until(lambda: len(children_of()) <= 1)
    assert len(seen) >= 2
    assert (await sandbox.health()).kills == 0


async def test_too_many_waiting_calls_are_answered_busy_at_once(open_sandbox: Open) -> None:
    sandbox = open_sandbox(children=1, waiting=2)
    running = asyncio.create_task(sandbox.call(ENDLESS))
    await until(lambda: sandbox.children == 1)
    waiting = [asyncio.create_task(sandbox.call(FINE)) for _ in range(2)]
    await asyncio.sleep(0)
    await until(lambda: sandbox._pool.waiting == 2)
    refused = await sandbox.call(FINE)
    assert refused.outcome == "busy"
    assert "2 calls wait" in refused.error
    running.cancel()
    assert [result.outcome for result in await asyncio.gather(*waiting)] == ["ok", "ok"]
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_call_that_waits_too_long_is_answered_busy(open_sandbox: Open) -> None:
    sandbox = open_sandbox(children=1, wait_s=0.1)
    running = asyncio.create_task(sandbox.call(ENDLESS))
    await until(lambda: sandbox.children == 1)
    assert (await sandbox.call(FINE)).outcome == "busy"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_sixteen_callers_each_get_their_own_answer(sandbox: WasmtimeSandbox) -> None:
    async def ask(caller: int) -> list[bytes]:
        return [(await sandbox.call(call_of(guests.ECHO, b"%d" % (caller * 100 + n)))).output for n in range(10)]

    answers = await asyncio.gather(*(ask(caller) for caller in range(16)))
    assert answers == [[b"%d" % (caller * 100 + n) for n in range(10)] for caller in range(16)]
    assert len(children_of()) == 2


async def test_500_calls_leave_descriptors_and_processes_as_they_were(sandbox: WasmtimeSandbox) -> None:
    async def calls(count: int) -> None:
        for number in range(count):
            killed = number % 50 == 49
            call = call_of(guests.LOOP, fuel=10**12, timeout_s=0.01) if killed else FINE
            assert (await sandbox.call(call)).outcome == ("timeout" if killed else "ok")

    def held() -> tuple[int, set[int]]:
        # On a busy machine a guest may be ended with its child, and a second child be started meanwhile: each has one
        # descriptor here.
        try:
            fds = [psutil.Process(pid).num_fds() for pid in children_of()]
        except psutil.Error:
            return -1, set()
        return ours.num_fds() - len(fds), set(fds)

    ours = psutil.Process()
    await calls(20)
    before, threads = held(), ours.num_threads()
    await calls(500)
    await until(lambda: held() == before)
    assert ours.num_threads() <= threads + 2
    assert len(children_of()) <= 2


async def test_replacing_children_leaks_no_descriptor(open_sandbox: Open) -> None:
    sandbox = open_sandbox(children=1)
    await sandbox.call(FINE)
    before = psutil.Process().num_fds()
    for _ in range(5):
        (pid,) = children_of()
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: has_ended(pid))
        assert (await sandbox.call(FINE)).outcome == "ok"
    await until(lambda: psutil.Process().num_fds() <= before)
    assert len(children_of()) == 1


async def test_a_child_keeps_a_bounded_set_of_modules(open_sandbox: Open) -> None:
    sandbox = open_sandbox(children=1, loaded=40_000)
    codes = [answering(f'{{"ok": {n}}}') for n in range(6)]
    for _ in range(2):
        for n, code in enumerate(codes):
            assert (await sandbox.call(call_of(code))).output == b"%d" % n
    (child,) = sandbox._pool._idle
    assert sum(child.loaded.values()) <= 40_000


@pytest.mark.parametrize("active", [0, 2], ids=["while they start", "while they run"])
async def test_closing_ends_all_children_and_the_calls_in_them(open_sandbox: Open, active: int) -> None:
    sandbox = open_sandbox()
    running = [asyncio.create_task(sandbox.call(ENDLESS)) for _ in range(3)]
    await until(lambda: len(children_of()) >= 1 and sandbox.active >= active)
    await sandbox.close()
    assert children_of() == []
    outcomes = {result.outcome for result in await asyncio.gather(*running)}
    assert outcomes <= {"trap", "busy"}
    assert (await sandbox.call(FINE)).outcome == "busy"
    with pytest.raises(Unavailable):
        await sandbox.start()


async def test_health_says_how_the_pool_is(sandbox: WasmtimeSandbox) -> None:
    """TOL-9."""
    await sandbox.call(FINE)
    health = await sandbox.health()
    assert (health.ok, health.children, health.active, health.calls, health.kills) == (True, 1, 0, 1, 0)


async def test_a_folder_that_is_gone_is_said_in_health(open_sandbox: Open, tmp_path: Path) -> None:
    sandbox = open_sandbox(folder=tmp_path)
    (tmp_path / "empty").rmdir()
    with pytest.raises(Unavailable):
        await sandbox.start()
    health = await sandbox.health()
    assert not health.ok
    assert health.cause
    assert health.fix
    (tmp_path / "empty").mkdir()
    await sandbox.start()
    assert (await sandbox.health()).ok
