"""FLW-3, BUS-5, CHT-3: a worker is killed at each commit and each effect; nothing is lost and nothing done twice."""

from collections import Counter

import pytest
from sqlalchemy import select
from sqlmodel import col

from backend.app import Backend
from backend.domain.flows.models import StepRow
from backend.foundation.kernel.ids import TenantId, ThreadId
from tests.crash.stand import Stand, person
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

QUESTION = 'What is it? #tool calculator {"expression": "40+2"}'
FAILPOINTS = (
    "flows.claim.before",
    "flows.claim.after",
    "flows.turn.before_started",
    "flows.turn.started",
    "flows.turn.effect",
    "flows.turn.done",
    "flows.tool.before_started",
    "flows.tool.started",
    "flows.tool.effect",
    "flows.tool.done",
    "flows.turn.started@2",
    "flows.turn.effect@2",
    "flows.finish.before",
    "flows.finish.after",
)
NOT_STORED = {
    "flows.turn.effect",
    "flows.turn.done",
    "flows.tool.before_started",
    "flows.turn.effect@2",
    "flows.finish.before",
}
"""Where the model has answered and nothing of it is stored: there it may be asked once more."""


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_a_worker_killed_there_leaves_a_run_that_another_ends_once(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    model_stub.reset()
    name, _, nth = failpoint.partition("@")
    async with stand.open() as backend:
        tenant = await backend.identity.create_tenant("Acme", "a@acme.example", "correct horse battery")
        first = await stand.worker(failpoints=f"{name}=kill@{nth or 1}")
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=QUESTION)
        assert await first.died() == -9, first.said()
        second = await stand.worker(replaces=first.name)
        await until(lambda: answered(backend, tenant, sent.thread), deadline_s=30)
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
    turns = [request for request in model_stub.requests() if "chat/completions" in request["path"]]
    assert len(turns) == (3 if failpoint in NOT_STORED else 2)


async def answered(backend: Backend, tenant: TenantId, thread: ThreadId) -> bool:
    messages = await backend.chat.messages(person(tenant), thread)
    return any(message.role == "assistant" for message in messages)


async def steps(backend: Backend, tenant: TenantId) -> dict[str, str]:
    async with backend.database.read(tenant) as session:
        rows = (await session.execute(select(col(StepRow.path), col(StepRow.status)))).all()
    assert max(Counter(row.path for row in rows).values()) == 1
    return {row.path: row.status for row in rows}
