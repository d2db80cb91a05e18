"""BUS-3, BUS-5, BUS-8: processes are killed where the bus gives up, sends again, cleans, drains and emits."""

import asyncio
import os
import sys

import pytest
from sqlalchemy import func, insert, select
from sqlmodel import col

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.app import Backend
from backend.bootstrap.outside import open_bus
from backend.bootstrap.settings import load
from backend.domain.flows.models import RunRow
from backend.foundation.bus.models import DeadLetterRow, InboxRow, OutboxRow
from backend.foundation.bus.ports import Message
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import encode
from backend.foundation.kernel.ids import TenantId, ThreadId
from backend.foundation.live.service import Live
from tests.crash.door import asked
from tests.crash.ledger import exact, model_calls, relayed
from tests.crash.stand import ROOT, Stand, person
from tests.crash.test_bus_worker import ask
from tests.crash.test_failpoints import answered
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

AGAIN = ("bus.again.before", "bus.again.after")
BURIED = ("bus.bury.before", "bus.bury.after")
DRAINED = ("bus.lease_given.before", "bus.lease_given.after")
EMITTED = ("bus.emit.before", "bus.emit.after")
SLOW = {"bus.slow.before": 1, "bus.slow.effect": 2, "bus.slow.after": 1}
"""How often a slow handler is called for an event: again where it had returned and that was not recorded."""
CLEANED = ("bus.clean.before", "bus.clean.sent", "bus.clean.seen")


@pytest.mark.only_on("valkey")
@pytest.mark.parametrize("failpoint", AGAIN)
async def test_a_relay_killed_after_an_outage_leaves_what_it_would_send_again(
    stand: Stand, private_valkey: PrivateValkey, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=f"{failpoint}=kill")
        thread = await talk(backend, tenant)
        private_valkey.kill()
        await backend.chat.send(person(tenant), thread=thread, agent="concierge", text="and again")
        await until(lambda: "relay waits" in first.said(), 20)
        await asyncio.to_thread(private_valkey.start)
        assert await first.died() == -9
        await stand.worker(replaces=first.name)
        await until(lambda: replies(backend, tenant, thread, 2), 30)
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 2


@pytest.mark.parametrize("failpoint", BURIED)
async def test_a_worker_killed_at_a_dead_letter_leaves_one_of_it_and_its_key_goes_on(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=f"{failpoint}=kill")
        await talk(backend, tenant)
        topic, key, headers, _ = encode(asked(tenant))
        bus = open_bus(load({}, environ=stand.variables(), file=stand.folder / "none.toml"))
        await bus.start()
        assert await bus.publish([Message(topic, key, headers, b"no json at all")]) == [None]
        await bus.close()
        assert await first.died() == -9
        await stand.worker(replaces=first.name)
        assert await stand.door(tenant, "emit") == 0
        await until(lambda: succeeded(backend, 2), 60)
        async with backend.database.system_read() as session:
            dead = (await session.execute(select(DeadLetterRow))).scalars().all()
        assert [(row.consumer, row.value) for row in dead] == [("agents", b"no json at all")]


@pytest.mark.parametrize("failpoint", DRAINED)
async def test_a_relay_killed_while_it_gives_its_lease_back_is_replaced(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=f"{failpoint}=kill")
        thread = await talk(backend, tenant)
        first.process.terminate()
        assert await first.died() == -9
        await backend.chat.send(person(tenant), thread=thread, agent="concierge", text="and again")
        await stand.worker(replaces=first.name)
        await until(lambda: replies(backend, tenant, thread, 2), 30)
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 2


@pytest.mark.parametrize("failpoint", EMITTED)
async def test_an_event_whose_sender_was_killed_and_sent_it_again_starts_one_run(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        assert await stand.door(tenant, "emit", failpoints=f"{failpoint}=kill") == -9
        assert await stand.door(tenant, "emit") == 0
        await stand.worker()
        await talk(backend, tenant)
        await until(lambda: succeeded(backend, 2), 10)
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 2


@pytest.mark.parametrize("failpoint", SLOW)
async def test_a_slow_handler_is_called_again_only_where_its_end_was_not_recorded(
    private_valkey: PrivateValkey, sqlite_database: SqlDatabase, model_stub: ModelStub, failpoint: str
) -> None:
    url = sqlite_database.engine.url.set(drivername="sqlite").render_as_string()
    live = Live(ValkeyLive(private_valkey.url))
    bus = BusService(ValkeyBus(private_valkey.url), sqlite_database, live)
    await bus.start()
    event = ask(0)
    await bus.emit(event)
    arguments = (private_valkey.url, url, model_stub.url)
    first = await bus_worker(*arguments, failpoints=f"{failpoint}=kill")
    assert await first.wait() == -9
    second = await bus_worker(*arguments)
    try:
        await until(lambda: recorded(sqlite_database), 20)
        await until(lambda: caught_up(bus), 20)
    finally:
        second.kill()
        await second.wait()
    assert model_stub.effects() == {event.id: SLOW[failpoint]}
    await bus.close()
    await live.close()


@pytest.mark.parametrize("failpoint", CLEANED)
async def test_cleaning_that_was_killed_takes_nothing_that_waits_and_is_ended_by_the_next(
    private_valkey: PrivateValkey, sqlite_database: SqlDatabase, failpoint: str
) -> None:
    url = sqlite_database.engine.url.set(drivername="sqlite").render_as_string()
    outbox = {"tenant": "t", "slot": 0, "topic": "aw.runs", "key": "k", "headers": {}, "value": "{}", "created_ms": 1}
    rows = [outbox | {"sent_ms": 1}] * 3 + [outbox | {"sent_ms": None}] * 2
    async with sqlite_database.system_write() as session:
        await session.execute(insert(OutboxRow), rows)
        await session.execute(insert(InboxRow), [{"consumer": "c", "tenant": "t", "event": "e", "seen_ms": 1}])
    killed = await bus_worker(private_valkey.url, url, "clean", failpoints=f"{failpoint}=kill")
    assert await killed.wait() == -9
    assert await (await bus_worker(private_valkey.url, url, "clean")).wait() == 0
    async with sqlite_database.system_read() as session:
        left = (await session.scalars(select(col(OutboxRow.sent_ms)))).all()
        seen = (await session.execute(select(func.count()).select_from(InboxRow))).scalar_one()
    assert (left, seen) == ([None, None], 0)


async def talk(backend: Backend, tenant: TenantId) -> ThreadId:
    """Ask and wait for the reply: the bus is at work then."""
    sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text="hello")
    await until(lambda: answered(backend, tenant, sent.thread), 30)
    return sent.thread


async def bus_worker(*arguments: str, failpoints: str = "") -> asyncio.subprocess.Process:
    environment = dict(os.environ) | {"AUTOWEAVE_FAILPOINTS": failpoints}
    command = (sys.executable, "-m", "tests.crash.bus_worker", *arguments)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL)


async def recorded(database: SqlDatabase) -> bool:
    async with database.system_read() as session:
        return (await session.execute(select(func.count()).select_from(InboxRow))).scalar_one() == 1


async def caught_up(bus: BusService) -> bool:
    return not any((await bus.lag("slow"))["slow"].values())


async def succeeded(backend: Backend, count: int) -> bool:
    """Whether so many runs have ended, and nothing else is wrong."""
    return await relayed(backend.database) and await count_of_ended(backend) == count


async def count_of_ended(backend: Backend) -> int:
    async with backend.database.system_read() as session:
        ended = select(func.count()).select_from(RunRow).where(col(RunRow.status) == "SUCCEEDED")
        return (await session.execute(ended)).scalar_one()


async def replies(backend: Backend, tenant: TenantId, thread: str, count: int) -> bool:
    messages = await backend.chat.messages(person(tenant), thread)
    return sum(message.role == "assistant" for message in messages) == count
