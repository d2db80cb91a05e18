"""FLW-3, BUS-5, CHT-3: a worker is killed at each commit and each effect; nothing is lost and nothing done twice."""

import os
from collections import Counter

import pytest
from sqlalchemy import select
from sqlmodel import col

from backend.app import Backend
from backend.domain.flows.models import StepRow
from backend.foundation.kernel.ids import TenantId, ThreadId
from tests.crash.ledger import exact, model_calls
from tests.crash.stand import Stand, person
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

QUESTION = 'What is it? #tool calculator {"expression": "40+2"}'
ASKED_AGAIN = {
    "flows.turn.effect": 1,
    "flows.turn.done": 1,
    "flows.tool.before_started": 1,
    "flows.turn.effect@2": 1,
    "flows.finish.before": 1,
}
"""Where the model has answered and nothing of it is stored: there it is asked once more."""
WHOLE = bool(os.environ.get("AUTOWEAVE_TESTS_MATRIX"))
LATER = ("bus.publish.after@2", "bus.handle.done@2", "bus.handle.after@2") if WHOLE else ()
FAILPOINTS = (
    *ASKED_AGAIN,
    *LATER,
    "flows.claim.before",
    "flows.claim.after",
    "flows.turn.before_started",
    "flows.turn.started",
    "flows.tool.started",
    "flows.tool.effect",
    "flows.tool.done",
    "flows.turn.started@2",
    "flows.finish.after",
    "bus.lease.before",
    "bus.lease.after",
    "bus.publish.before",
    "bus.publish.after",
    "bus.sent.after",
    "bus.handle.before",
    "bus.handle.done",
    "bus.handle.after",
)
MEANWHILE = ("bus.position.before", "bus.position.after")
"""Hit beside the run, so that nobody knows how far that is."""
COMMITS = range(1, 26) if WHOLE else (9,)
ANY_COMMIT = tuple(f"database.commit.{side}@{nth}" for nth in COMMITS for side in ("before", "after"))


@pytest.mark.parametrize("failpoint", [*FAILPOINTS, *MEANWHILE, *ANY_COMMIT])
async def test_a_worker_killed_there_leaves_a_run_that_another_ends_once(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    name, _, nth = failpoint.partition("@")
    async with stand.open() as backend:
        tenant = await backend.identity.create_tenant("Acme", "a@acme.example", "correct horse battery")
        first = await stand.worker(failpoints=f"{name}=kill@{nth or 1}")
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=QUESTION)
        assert await first.died() == -9, first.said()
        second = await stand.worker(replaces=first.name)
        await until(lambda: answered(backend, tenant, sent.thread), deadline_s=40)
        messages = await backend.chat.messages(person(tenant), sent.thread)
        assert [(message.role, message.status) for message in messages] == [("user", "done"), ("assistant", "done")]
        assert "42" in messages[1].text, second.said()
        assert await steps(backend, tenant) == {
            "input#0": "DONE",
            "prompt#0": "DONE",
            "llm#0": "DONE",
            "llm#0/turn[0]": "DONE",
            "llm#0/turn[0]/call[0]": "DONE",
            "llm#0/turn[1]": "DONE",
            "output#0": "DONE",
        }
        await exact(backend, model_stub)
    if failpoint in FAILPOINTS:
        assert model_calls(model_stub) == 2 + ASKED_AGAIN.get(failpoint, 0)


async def answered(backend: Backend, tenant: TenantId, thread: ThreadId) -> bool:
    messages = await backend.chat.messages(person(tenant), thread)
    return any(message.role == "assistant" for message in messages)


async def steps(backend: Backend, tenant: TenantId) -> dict[str, str]:
    async with backend.database.read(tenant) as session:
        rows = (await session.execute(select(col(StepRow.path), col(StepRow.status)))).all()
    assert max(Counter(row.path for row in rows).values()) == 1
    return {row.path: row.status for row in rows}
