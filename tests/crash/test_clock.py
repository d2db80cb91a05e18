"""FLW-3, BUS-5: the clock is stepped in the middle of work.

All waits, leases and deadlines are times of the database, compared with its clock; processes measure durations with a
clock that no step moves. So moving that clock by a minute is the same as moving all stored times the other way, which
needs no power over the machine and works with every database.
"""

import pytest
from sqlalchemy import update

from backend.app import Backend
from backend.domain.flows.models import RunRow, TimerRow
from backend.foundation.bus.models import InboxRow, LeaseRow, OutboxRow
from backend.foundation.kernel.tables import table_of
from tests.crash.ledger import exact
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints import answered
from tests.crash.test_failpoints_of_the_bus import replies, talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

MINUTE = 60_000
QUESTION = "Tell me something. #tokens 12 #slow 150"
TIMES = {
    RunRow: ("lease_until", "deadline_ms", "created_ms", "started_ms"),
    TimerRow: ("due_ms",),
    LeaseRow: ("until_ms",),
    OutboxRow: ("created_ms", "sent_ms"),
    InboxRow: ("seen_ms",),
}


async def step(backend: Backend, by_ms: int) -> None:
    """Step the clock that all stored times are compared with."""
    async with backend.database.system_write() as session:
        for model, names in TIMES.items():
            for name in names:
                column = table_of(model).c[name]
                # What is 0 is no time: a lease that nobody has.
                await session.execute(update(model).where(column > 0).values({name: column - by_ms}))


@pytest.mark.on_servers
@pytest.mark.parametrize("by_ms", [MINUTE, -MINUTE], ids=["forward", "back"])
async def test_a_step_of_the_clock_costs_no_run_and_doubles_none(
    stand: Stand, model_stub: ModelStub, by_ms: int
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first, second = await stand.worker(), await stand.worker()
        thread = await talk(backend, tenant)
        model_stub.reset()
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=QUESTION)
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        await step(backend, by_ms)
        await backend.chat.send(person(tenant), thread=thread, agent="concierge", text="and again")
        await until(lambda: replies(backend, tenant, thread, 2), 30)
        await until(lambda: answered(backend, tenant, sent.thread), 30)
        await exact(backend, model_stub)
    assert "Traceback" not in first.said() + second.said()


async def test_a_worker_that_dies_after_the_clock_was_put_back_is_replaced_at_once(
    stand: Stand, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker()
        await talk(backend, tenant)
        model_stub.reset()
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=QUESTION)
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        await step(backend, -MINUTE)
        first.kill()
        await stand.worker(replaces=first.name)
        await until(lambda: answered(backend, tenant, sent.thread), 30)
        await exact(backend, model_stub)
