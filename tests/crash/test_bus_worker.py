"""Workers and the broker die by SIGKILL in the middle of work: no event is lost, done twice, or out of order."""

import asyncio
import random
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest
from sqlalchemy import func, select

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.models import OutboxRow
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel.ids import TenantId
from backend.foundation.live.service import Live
from tests.crash.bus_worker import ASK
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

KEYS, KILLS = 20, 4


@asynccontextmanager
async def worker(valkey: str, database: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.bus_worker", valkey, database, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def count(database: SqlDatabase) -> int:
    async with database.system_read() as session:
        answered = select(func.count()).select_from(OutboxRow).where(OutboxRow.topic == "aw.runs")
        return (await session.execute(answered)).scalar_one()


async def answers(database: SqlDatabase) -> list[RunFinished]:
    """What was answered, in the order of the answers' transactions."""
    statement = select(OutboxRow).where(OutboxRow.topic == "aw.runs").order_by(OutboxRow.id)
    async with database.system_read() as session:
        rows = (await session.scalars(statement)).all()
    return [msgspec.json.decode(row.value, type=RunFinished) for row in rows]


class Asker:
    """Publishes, a transaction of twenty after the other, until it is told to stop."""

    def __init__(self, bus: BusService, database: SqlDatabase) -> None:
        self._bus = bus
        self._database = database
        self.asked = 0
        self.stopped = False

    async def run(self) -> None:
        while not self.stopped:
            async with self._database.system_write() as session:
                await self._bus.publish(session, *map(ask, range(self.asked, self.asked + KEYS)))
            self.asked += KEYS
            await asyncio.sleep(0.02)


def ask(number: int) -> Event:
    data = StartRun(agent="a", input=str(number))
    return Event(type=ASK, tenant=TenantId("t"), key=f"k{number % KEYS}", source="/test", data=data)


async def test_every_event_is_answered_once_in_order_over_kills_of_worker_and_broker(
    private_valkey: PrivateValkey, sqlite_database: SqlDatabase
) -> None:
    """BUS-3 BUS-5."""
    database_url = sqlite_database.engine.url.set(drivername="sqlite").render_as_string()
    live = Live(ValkeyLive(private_valkey.url))
    bus = BusService(ValkeyBus(private_valkey.url), sqlite_database, live)
    await bus.start()
    asker = Asker(bus, sqlite_database)
    asking = asyncio.create_task(asker.run())
    for kill in range(KILLS):
        async with worker(private_valkey.url, database_url):
            before = await count(sqlite_database)
            await until(lambda seen=before: _more(sqlite_database, seen), 30)
            await asyncio.sleep(random.uniform(0, 0.3))
            if kill % 2:
                private_valkey.kill()
                await asyncio.to_thread(private_valkey.start)
    asker.stopped = True
    await asking
    async with worker(private_valkey.url, database_url):
        await until(lambda: _more(sqlite_database, asker.asked - 1), 60)
        await until(lambda: _relayed(bus), 30)
    by_key: dict[str, list[int]] = defaultdict(list)
    for answer in await answers(sqlite_database):
        by_key[answer.thread].append(int(answer.output))
    assert by_key == {f"k{key}": list(range(key, asker.asked, KEYS)) for key in range(KEYS)}
    await bus.close()
    await live.close()


async def _more(database: SqlDatabase, than: int) -> bool:
    return await count(database) > than


async def _relayed(bus: BusService) -> bool:
    return (await bus.outbox()).waiting == 0
