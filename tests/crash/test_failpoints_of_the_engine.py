"""FLW-3: a worker is killed where it renews, retries, fires timers, ends what is overdue and gives runs back."""

import asyncio

import pytest
from sqlalchemy import select
from sqlmodel import col

from backend.app import Backend
from backend.domain.agents.models import AgentRow
from backend.domain.flows.service.flows import RunStart
from backend.foundation.kernel.ids import AgentId, RunId, SnapshotId, TenantId
from backend.governance.budgets.rules import Limits
from tests.crash.ledger import exact, model_calls
from tests.crash.stand import Stand, person
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

LONG = "Tell me much. #tokens 100 #slow 100"
RETRIED = ("flows.retry.before", "flows.retry.after", "flows.timer.before", "flows.timer.after")
OVERDUE = ("flows.overdue.before", "flows.overdue.after")
RENEWED = ("flows.renew.before", "flows.renew.after")
DRAINED = ("flows.given_back.before", "flows.given_back.after")
REPLACED = ("flows.replaced.before", "flows.replaced.after")


async def tenant_of(backend: Backend) -> TenantId:
    return await backend.identity.create_tenant("Acme", "a@acme.example", "correct horse battery")


@pytest.mark.parametrize("failpoint", RETRIED)
async def test_a_worker_killed_at_a_retry_leaves_a_run_that_tries_again(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    """MDL-2."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=f"{failpoint}=kill")
        run = await backend.agents.run(person(tenant), "concierge", input="hello #fail 1 500")
        assert await first.died() == -9
        await stand.worker(replaces=first.name)
        ended = await finished(backend, person(tenant), run.id, 30)
        assert (ended.status, ended.output) == ("SUCCEEDED", "You said: hello #fail 1 500")
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 2


@pytest.mark.parametrize("failpoint", OVERDUE)
async def test_a_worker_killed_at_an_overdue_run_leaves_it_to_another_that_ends_it_once(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=f"{failpoint}=kill")
        run = await start(backend, tenant, Limits(wall_s=1))
        assert await first.died() == -9
        await stand.worker(replaces=first.name)
        ended = await finished(backend, person(tenant), run, 30)
        assert (ended.status, ended.error_code) == ("FAILED", "deadline_exceeded")
        await exact(backend, model_stub)


@pytest.mark.parametrize("failpoint", RENEWED)
async def test_a_worker_killed_while_it_renews_leaves_runs_that_can_still_be_stopped(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    await go_on_and_stop(stand, model_stub, f"{failpoint}=kill")


@pytest.mark.parametrize("failpoint", DRAINED)
async def test_a_worker_killed_while_it_gives_its_runs_back_has_lost_none(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    await go_on_and_stop(stand, model_stub, f"{failpoint}=kill", drain=True)


async def go_on_and_stop(stand: Stand, stub: ModelStub, failpoints: str, *, drain: bool = False) -> None:
    """Kill a worker in the middle of an answer; the next one begins it again, and it is cancelled there."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints=failpoints)
        run = await backend.agents.run(person(tenant), "concierge", input=LONG)
        await stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        if drain:
            first.process.terminate()
        assert await first.died() == -9
        before = model_calls(stub)
        await stand.worker(replaces=first.name)
        await until(lambda: asyncio.to_thread(lambda: model_calls(stub) > before), 30)
        await backend.flows.cancel(person(tenant), run.id)
        assert (await finished(backend, person(tenant), run.id, 10)).status == "CANCELLED"
        await exact(backend, stub)


@pytest.mark.parametrize("failpoint", REPLACED)
async def test_a_worker_killed_while_it_takes_over_is_itself_replaced(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker(failpoints="flows.turn.started=kill")
        run = await backend.agents.run(person(tenant), "concierge", input="hello")
        assert await first.died() == -9
        second = await stand.worker(replaces=first.name, failpoints=f"{failpoint}=kill")
        assert await second.died() == -9
        await stand.worker(replaces=first.name)
        assert (await finished(backend, person(tenant), run.id, 30)).output == "You said: hello"
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 1


async def start(backend: Backend, tenant: TenantId, limits: Limits) -> RunId:
    """Start a run with limits of its own."""
    async with backend.database.write(tenant) as session:
        agent = (await session.execute(select(AgentRow).where(col(AgentRow.slug) == "concierge"))).scalar_one()
        asked = RunStart(
            tenant=tenant, agent=AgentId(agent.id), snapshot=SnapshotId(agent.snapshot), input=LONG, trigger="one",
            source="rest", subject="usr_test", limits=limits,
        )  # fmt: skip
        return (await backend.flows.start(session, asked)).id
