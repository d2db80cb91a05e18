"""FLW-3, BUS-5, TOL-2: the clock under running processes jumps by two hours, forward and back.

On SQLite the whole machine's clock does: of the worker, the web, the database in them and Valkey. On servers it is one
machine of several: PostgreSQL and Kafka keep the right time.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from backend.app import Backend
from backend.domain.agents.models import AgentRow
from backend.domain.flows.models import RunRow, StepRow, TimerRow
from backend.domain.flows.views import FINISHED
from backend.foundation.kernel.ids import TenantId
from tests.crash.ledger import exact
from tests.crash.stand import Stand, Web, person
from tests.crash.test_failpoints import answered
from tests.crash.test_failpoints_of_the_bus import replies, talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.app import require_pages
from tests.fixtures.clock import SteppedClock
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

STEP_S = 7200
SPOKEN = "Tell me much. #tokens 30 #slow 150"
WITH_A_TOOL = '#tool calculator {"expression": "40+2"} #slow 2500'
TRIED_AGAIN = "Try it. #fail 3 500"
LEASE_S = 15.0


@pytest.fixture
def private_valkey(stepped_clock: SteppedClock) -> Generator[PrivateValkey]:
    """The stand's Valkey, under the same clock as its processes."""
    with TemporaryDirectory(prefix="aw-valkey-") as folder:
        server = PrivateValkey(Path(folder), stepped_clock.variables)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def machine(stand: Stand, stepped_clock: SteppedClock) -> SteppedClock:
    """The clock of the stand's processes."""
    stand.around = stepped_clock.variables
    return stepped_clock


@pytest.mark.on_servers
@pytest.mark.parametrize("seconds", [STEP_S, -STEP_S], ids=["forward", "back"])
async def test_what_was_under_way_at_a_jump_of_the_clock_is_done_once_and_so_is_what_comes_after(
    stand: Stand, machine: SteppedClock, model_stub: ModelStub, seconds: int
) -> None:
    require_pages()
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await patient(backend, tenant)
        workers = [await stand.worker(), await stand.worker()]
        web = await stand.web()
        thread = await talk(backend, tenant)
        async with asking(backend, tenant, web) as client:
            spoken = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=SPOKEN)
            await backend.chat.send(person(tenant), thread=spoken.thread, agent="concierge", text="and then")
            for text in (WITH_A_TOOL, TRIED_AGAIN):
                assert (await client.post("/v1/agents/concierge/runs", json=asked(text))).is_success
            await until(lambda: in_the_middle(backend), 30)
            machine.step(seconds)
            assert await stand.door(tenant, "write", f"{thread} and again") == 0
            assert (await client.post("/v1/agents/concierge/runs", json=asked("after it"))).is_success
            await until(lambda: replies(backend, tenant, thread, 2), 60)
            await until(lambda: replies(backend, tenant, spoken.thread, 2), 60)
            await until(lambda: all_have_ended(backend), 60)
        assert await statuses(backend) == ["SUCCEEDED"] * 7
        await exact(backend, model_stub)
        assert await calls(backend) == [("DONE", 1)]
        told = await backend.chat.messages(person(tenant), thread)
        assert [message.role for message in told] == ["user", "assistant"] * 2
    assert "Traceback" not in "".join(process.said() for process in (*workers, web))


async def test_who_dies_as_the_clock_is_put_back_is_missed_no_later_than_otherwise(
    stand: Stand, machine: SteppedClock, model_stub: ModelStub
) -> None:
    """No supervisor tells of the death: leases end by themselves, though they were given until two hours from now."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await patient(backend, tenant)
        first = await stand.worker()
        await talk(backend, tenant)
        model_stub.reset()
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=SPOKEN)
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        first.freeze()
        machine.step(-STEP_S)
        first.kill()
        await stand.worker()
        await until(lambda: answered(backend, tenant, sent.thread), 4 * LEASE_S)
        await exact(backend, model_stub)


@pytest.mark.only_on("sqlite")
async def test_a_run_whose_time_is_over_after_a_jump_ends_with_that_reason_and_the_next_one_works(
    stand: Stand, machine: SteppedClock, model_stub: ModelStub
) -> None:
    """A run's time counts by the database's clock, which on a server does not jump."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        worker = await stand.worker()
        thread = await talk(backend, tenant)
        model_stub.reset()
        run = await backend.agents.run(person(tenant), "concierge", input=SPOKEN)
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        machine.step(STEP_S)
        ended = await finished(backend, person(tenant), run.id, 30)
        assert (ended.status, ended.error_code) == ("FAILED", "deadline_exceeded")
        assert await stand.door(tenant, "write", f"{thread} and again") == 0
        await until(lambda: replies(backend, tenant, thread, 2), 30)
        await exact(backend, model_stub)
    assert "Traceback" not in worker.said()


def asked(text: str) -> dict[str, str | bool]:
    return {"input": text, "wait": False}


async def patient(backend: Backend, tenant: TenantId) -> None:
    """Let runs of the agent take longer than the clock jumps: their time is a time of day."""
    async with backend.database.write(tenant) as session:
        await session.execute(update(AgentRow).values(limits={"wall_s": 2 * STEP_S}))


@asynccontextmanager
async def asking(backend: Backend, tenant: TenantId, web: Web) -> AsyncGenerator[httpx.AsyncClient]:
    """A program with a key."""
    [somebody] = await backend.identity.users(person(tenant))
    caller = replace(person(tenant), subject=somebody.id)
    scopes = ["agents:read", "agents:run"]
    key = await backend.identity.create_api_key(caller, name="test", scopes=scopes, expires_days=None)
    headers = {"authorization": f"Bearer {key.secret}"}
    async with httpx.AsyncClient(base_url=web.url, headers=headers, timeout=30) as client:
        yield client


async def in_the_middle(backend: Backend) -> bool:
    """Whether a tool has answered and a failed turn waits for its third try at least."""
    async with backend.database.system_read() as session:
        waiting = (await session.execute(select(func.count()).select_from(TimerRow))).scalar_one()
        tries = select(func.max(col(StepRow.attempt))).where(col(StepRow.status) == "RETRYING")
        attempt = (await session.execute(tries)).scalar_one()
    return bool(waiting) and (attempt or 0) > 1 and await calls(backend) == [("DONE", 1)]


async def calls(backend: Backend) -> list[tuple[str, int]]:
    """The status and the attempts of each call of a tool."""
    async with backend.database.system_read() as session:
        found = select(col(StepRow.status), col(StepRow.attempt)).where(col(StepRow.kind) == "tool")
        return [(row[0], row[1]) for row in await session.execute(found)]


async def all_have_ended(backend: Backend) -> bool:
    # Looked at seldom, for it is a whole table.
    await asyncio.sleep(0.2)
    return all(status in FINISHED for status in await statuses(backend))


async def statuses(backend: Backend) -> list[str]:
    async with backend.database.system_read() as session:
        return list((await session.execute(select(col(RunRow.status)))).scalars())
