"""`docker/kafka/kafka_server.py`: it starts a broker, ends it, and never lets it outlive who started it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from backend.adapters.kafka.bus import KafkaBus
from tests.fixtures.kafka import JAVA_OPTIONS, LAUNCHER
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.usefixtures("without_broker"), pytest.mark.timeout(240)]

START_S = 60.0
END_S = 25.0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@asynccontextmanager
async def _process(*command: str, **environment: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"JAVA_TOOL_OPTIONS": " ".join(JAVA_OPTIONS)} | environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        return (await process.stdout.readline()).decode().strip()


async def test_it_says_where_it_is_serves_and_ends_when_told(tmp_path: Path) -> None:
    """BUS-1: and its data is there at the next start."""
    for expected in ([], ["orders"]):
        async with _process(str(LAUNCHER), "--data", str(tmp_path), "--port", "0", "--heap", "256m") as launcher:
            bus = KafkaBus(await _said(launcher))
            await bus.start()
            assert [topic.name for topic in await bus.topics()] == expected
            await bus.create_topic("orders", partitions=1)
            await bus.close()
            [broker] = _children(launcher.pid)
            launcher.send_signal(signal.SIGTERM)
            async with asyncio.timeout(END_S):
                assert await launcher.wait() == 0
            assert not _runs(broker)


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """BUS-1: whoever started it is killed, and nothing stays behind."""
    parent = (
        "import subprocess, sys\n"
        "launcher = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "launcher.stdout.readline()\n"
        "print(launcher.pid, flush=True)\n"
        "launcher.wait()\n"
    )
    command = (str(LAUNCHER), "--data", str(tmp_path), "--port", "0", "--heap", "256m")
    async with _process("-c", parent, *command) as process:
        launcher = int(await _said(process))
        [broker] = _children(launcher)
        process.kill()
        await until(lambda: not _runs(launcher) and not _runs(broker), END_S)


async def test_it_ends_when_the_launcher_is_killed(tmp_path: Path) -> None:
    """BUS-1."""
    async with _process(str(LAUNCHER), "--data", str(tmp_path), "--port", "0", "--heap", "256m") as launcher:
        await _said(launcher)
        [broker] = _children(launcher.pid)
        launcher.kill()
        await until(lambda: not _runs(broker), END_S)


async def test_it_says_what_to_install_when_java_is_missing(tmp_path: Path) -> None:
    """BUS-1."""
    async with _process(str(LAUNCHER), "--data", str(tmp_path), PATH=str(tmp_path)) as launcher:
        _, said = await launcher.communicate()
    assert launcher.returncode == 1
    assert b"install" in said
    assert b"Traceback" not in said
