"""FLW-3, CHT-1, IDN-2: a process is killed around the commit of what it was asked; asked again, it is done once.

And none is forgotten: the failpoints in the code are those that are tested.
"""

import re

import pytest

from tests.crash import test_failpoints as chat
from tests.crash import test_failpoints_of_the_bus as bus
from tests.crash import test_failpoints_of_the_engine as engine
from tests.crash import test_repair as repair
from tests.crash import test_webhooks as webhooks
from tests.crash.ledger import exact, model_calls
from tests.crash.stand import ROOT, Stand, person
from tests.crash.test_failpoints import answered
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

COMMIT = ("database.commit.before", "database.commit.after")
_HIT = re.compile(r"""\bhit\(f?"([^"]+)"\)""")


@pytest.mark.parametrize("failpoint", COMMIT)
async def test_a_run_that_is_asked_for_again_after_a_kill_is_one_run(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        assert await stand.door(tenant, "run", failpoints=f"{failpoint}=kill") == -9
        assert await stand.door(tenant, "run") == 0
        await stand.worker()
        await bus.talk(backend, tenant)
        await until(lambda: bus.succeeded(backend, 2), 10)
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 2


@pytest.mark.parametrize("failpoint", COMMIT)
async def test_a_message_that_is_sent_again_after_a_kill_is_one_message(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        assert await stand.door(tenant, "send", failpoints=f"{failpoint}=kill") == -9
        assert await stand.door(tenant, "send") == 0
        [thread] = await backend.chat.threads(person(tenant))
        await stand.worker()
        await until(lambda: answered(backend, tenant, thread.id), 30)
        assert len(await backend.chat.messages(person(tenant), thread.id)) == 2
        await exact(backend, model_stub)
    assert model_calls(model_stub) == 1


@pytest.mark.parametrize("failpoint", COMMIT)
async def test_a_stop_whose_process_was_killed_can_be_asked_for_again(
    stand: Stand, model_stub: ModelStub, failpoint: str
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker()
        run = await backend.agents.run(person(tenant), "concierge", input="Tell me much. #tokens 100 #stall-middle")
        await model_stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 1 else None, 20)
        assert await stand.door(tenant, "cancel", run.id, failpoints=f"{failpoint}=kill") == -9
        assert await stand.door(tenant, "cancel", run.id) == 0
        ended = await finished(backend, person(tenant), run.id, 10)
        assert ended.status == "CANCELLED", first.said()
        await exact(backend, model_stub)


def test_each_failpoint_of_the_code_is_one_at_which_a_test_kills() -> None:
    found: set[str] = set()
    for file in (ROOT / "backend").rglob("*.py"):
        for name in _HIT.findall(file.read_text()):
            # Steps of both kinds that have an effect pass the same lines.
            found |= {name.replace("{row['kind']}", kind) for kind in ("turn", "tool")}
    tested = (
        *chat.FAILPOINTS, *chat.MEANWHILE, *engine.RETRIED, *engine.OVERDUE, *engine.RENEWED, *engine.DRAINED,
        *engine.REPLACED, *bus.AGAIN, *bus.BURIED, *bus.DRAINED, *bus.EMITTED, *bus.SLOW, *bus.CLEANED, *COMMIT,
        *repair.REPLAYED, *repair.DISCARDED, *webhooks.SENT_BEFORE, *webhooks.ASKED, *webhooks.CLEANED,
    )  # fmt: skip
    assert found == {name.partition("@")[0] for name in tested}
