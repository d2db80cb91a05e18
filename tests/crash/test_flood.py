"""BUS-1, BUS-3, BUS-5: workers die and stand still under 5,000 events a second: each is answered once and in order."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGCONT, SIGSTOP

import msgspec
import pytest
from sqlalchemy import select

from backend.app import Backend
from backend.foundation.bus.repository import OUTBOX
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database
from tests.crash.flood_worker import ASK, CONSUMER
from tests.crash.stand import Stand
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(400), pytest.mark.whole]

RATE, SECONDS, KEYS = 5_000, 24.0, 200
TICK_S = 0.02
# Longer than every lease, so that another takes the partitions and the one that stood still finds them gone.
FROZEN_S = 12.0
READY_S, DRAINED_S = 60.0, 180.0


@asynccontextmanager
async def worker(stand: Stand, log: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    told = stand.folder / log
    with told.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.flood_worker", stdout=file, stderr=file, env=stand.variables()
        )
    try:
        await until(lambda: "ready" in told.read_text(), READY_S)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        assert "Traceback" not in told.read_text()


class Flood:
    """Emits what is due, whatever becomes of it; a call follows the other, so that each key keeps its order."""

    def __init__(self, backend: Backend) -> None:
        self._bus = backend.bus
        self.asked = 0

    async def run(self) -> None:
        begun = time.monotonic()
        while self.asked < RATE * SECONDS:
            due = min(round(RATE * SECONDS), int((time.monotonic() - begun) * RATE))
            if events := [ask(number) for number in range(self.asked, min(due, self.asked + 2_000))]:
                await self._bus.emit(*events)
                self.asked += len(events)
            await asyncio.sleep(TICK_S)


def ask(number: int) -> Event:
    data = StartRun(agent="a", input=f"{number} " + "x" * 900, thread=f"k{number % KEYS}")
    return Event(type=ASK, tenant=TenantId("t"), key=f"k{number % KEYS}", source="/test", data=data)


async def answers(database: Database) -> dict[str, list[int]]:
    """What was answered by key, in the order of the answers' transactions."""
    statement = select(OUTBOX.c.value).where(OUTBOX.c.topic == "aw.runs").order_by(OUTBOX.c.id)
    by_key: dict[str, list[int]] = defaultdict(list)
    async with database.system_read() as session:
        for value in await session.scalars(statement):
            answer = msgspec.json.decode(value, type=RunFinished)
            by_key[answer.thread].append(int(answer.output.partition(" ")[0]))
    return by_key


async def test_all_is_answered_once_and_in_order_over_a_kill_and_a_freeze_under_load(stand: Stand) -> None:
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(stand.open())
        await backend.bus.start()
        dies = await stack.enter_async_context(worker(stand, "dies"))
        stands_still = await stack.enter_async_context(worker(stand, "stands_still"))
        flood = Flood(backend)
        flooding = asyncio.create_task(flood.run())

        async def has_answered(more: int) -> bool:
            return (await backend.bus.done(CONSUMER))[CONSUMER] > more

        async def idle() -> bool:
            return await has_answered(flood.asked - 1) and (await backend.bus.outbox()).waiting == 0

        await until(lambda: has_answered(10_000), DRAINED_S)
        dies.kill()
        await dies.wait()
        await stack.enter_async_context(worker(stand, "replaces"))
        stands_still.send_signal(SIGSTOP)
        await asyncio.sleep(FROZEN_S)
        stands_still.send_signal(SIGCONT)
        await flooding
        await until(idle, DRAINED_S)
        assert flood.asked == RATE * SECONDS
        assert await answers(backend.database) == {
            f"k{key}": list(range(key, flood.asked, KEYS)) for key in range(KEYS)
        }
        assert stands_still.returncode is None
