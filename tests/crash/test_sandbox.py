"""TOL-2. What is left of the sandbox when its parent is killed: nothing."""

import contextlib
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from tests.fixtures.waiting import until

pytestmark = pytest.mark.crash

PARENT = """
import asyncio, sys
from pathlib import Path
from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.adapters.wasmtime.settings import SandboxSettings
from tests.integration.adapters.wasmtime import guests

async def main():
    sandbox = WasmtimeSandbox(SandboxSettings(folder=Path(sys.argv[1])))
    await sandbox.start()
    print("ready", flush=True)
    if sys.argv[2] == "running":
        await sandbox.call(guests.call_of(guests.LOOP, fuel=10**15, timeout_s=60))
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[psutil.Process]:
    command = [sys.executable, "-c", PARENT, str(tmp_path), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=request.config.rootpath) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield psutil.Process(process.pid)
        process.kill()


@pytest.mark.parametrize("parent", ["idle", "running"], indirect=True)
async def test_children_die_with_a_parent_that_is_killed(
    parent: psutil.Process, request: pytest.FixtureRequest
) -> None:
    busy = 1.0 if "running" in request.node.name else 0.0
    await until(lambda: any(seconds_of(child) >= busy for child in parent.children()), 20)
    children = parent.children()
    parent.kill()
    await until(lambda: not any(lives(child) for child in children))


def seconds_of(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cpu_times().user
    return 0.0


def lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


CHILD = """
import os, time
from backend.adapters.wasmtime import lockdown
{setup}
time.sleep(60)
"""


def exit_code(setup: str, root: Path) -> int:
    """Run a process that sets itself up and then waits in the host."""
    return subprocess.run([sys.executable, "-c", CHILD.format(setup=setup)], cwd=root, timeout=20).returncode


def test_an_armed_process_is_ended_by_the_kernel_inside_a_host_wait(request: pytest.FixtureRequest) -> None:
    """An epoch cannot interrupt a guest that waits in the host; the kernel's timer can."""
    assert exit_code("lockdown.arm(0.3)", request.config.rootpath) == -14


def test_a_disarmed_process_lives(request: pytest.FixtureRequest) -> None:
    assert exit_code("lockdown.arm(0.2); lockdown.disarm(); time.sleep(0.5); os._exit(7)", request.config.rootpath) == 7


def test_a_process_whose_parent_is_another_one_leaves_at_once(request: pytest.FixtureRequest) -> None:
    assert exit_code("lockdown.die_with(1); os._exit(7)", request.config.rootpath) == 0
