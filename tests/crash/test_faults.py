"""FLW-3, CHT-3, AGT-2: frozen workers, lost servers and stops in the middle of an answer."""

import asyncio
import socket

import pytest

from backend.app import Backend
from backend.domain.flows.views import RunView
from backend.foundation.kernel.ids import TenantId, ThreadId
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints import answered, steps
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.runs import finished
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

LONG = "Tell me much. #tokens 60 #slow 100"


async def begun(backend: Backend, tenant: TenantId, text: str, stub: ModelStub) -> tuple[ThreadId, RunView]:
    """Send a message and return its run once the model is answering it."""
    stub.reset()
    sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text=text)
    await stub.until(lambda requests: requests[-1] if requests[-1]["sent"] > 3 else None, 20)
    return sent.thread, (await backend.flows.open_in(person(tenant), sent.thread))[0]


async def tenant_of(backend: Backend) -> TenantId:
    return await backend.identity.create_tenant("Acme", "a@acme.example", "correct horse battery")


async def test_a_worker_frozen_past_its_lease_cannot_commit_over_the_one_that_went_on(
    stand: Stand, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        frozen = await stand.worker()
        thread, run = await begun(backend, tenant, LONG, model_stub)
        frozen.freeze()
        await stand.worker()
        await until(lambda: answered(backend, tenant, thread), deadline_s=60)
        ended = await backend.flows.get(person(tenant), run.id)
        frozen.thaw()
        # It wakes in the middle of the answer, goes on with it and finds that its epoch is over.
        again, _ = await begun(backend, tenant, LONG, model_stub)
        await until(lambda: answered(backend, tenant, again), deadline_s=60)
        assert await backend.flows.get(person(tenant), run.id) == ended
        assert ended.status == "SUCCEEDED"
        assert len(await backend.chat.messages(person(tenant), thread)) == 2


@pytest.mark.on_servers
async def test_an_answer_in_the_middle_of_which_its_worker_dies_begins_again_elsewhere(
    stand: Stand, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker()
        thread, run = await begun(backend, tenant, LONG, model_stub)
        async with backend.live.run_entries(run.id, "0") as entries:
            first.kill()
            await stand.worker(replaces=first.name)
            kinds: list[str] = []
            async for _, entry in entries:
                kinds.append(entry.kind)
                if entry.kind == "done":
                    break
        assert "reset" in kinds
        await until(lambda: answered(backend, tenant, thread), deadline_s=30)
        assert (await steps(backend, tenant))["llm#0/turn[0]"] == "DONE"


async def test_a_run_whose_live_store_is_wiped_still_ends(
    stand: Stand, private_valkey: PrivateValkey, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await stand.worker()
        thread, _ = await begun(backend, tenant, LONG, model_stub)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(private_valkey.url.removeprefix("unix://"))
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16).startswith(b"+OK")
        await until(lambda: answered(backend, tenant, thread), deadline_s=60)
        assert (await backend.chat.messages(person(tenant), thread))[1].status == "done"


@pytest.mark.on_servers
async def test_a_run_goes_on_while_the_live_store_and_the_bus_are_down_and_its_reply_comes_after(
    stand: Stand, private_valkey: PrivateValkey, model_stub: ModelStub
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await stand.worker()
        thread, run = await begun(backend, tenant, LONG, model_stub)
        private_valkey.kill()
        await until(lambda: is_finished(backend, tenant, run), deadline_s=40)
        await asyncio.to_thread(private_valkey.start)
        await until(lambda: answered(backend, tenant, thread), deadline_s=40)


async def test_a_stop_keeps_what_came_and_takes_less_than_a_second(stand: Stand, model_stub: ModelStub) -> None:
    """CHT-1."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        await stand.worker()
        thread, run = await begun(backend, tenant, LONG, model_stub)
        await backend.flows.cancel(person(tenant), run.id)
        ended = await finished(backend, person(tenant), run.id, 1.0)
        assert ended.status == "CANCELLED"
        assert ended.output
        await until(lambda: answered(backend, tenant, thread))
        reply = (await backend.chat.messages(person(tenant), thread))[1]
        assert (reply.status, reply.text) == ("cancelled", ended.output)
        await model_stub.outcome("gone")


async def test_a_run_that_no_worker_has_yet_is_stopped_at_once(stand: Stand) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        helper = await stand.worker()
        helper.kill()
        run = await backend.agents.run(person(tenant), "concierge", input="hello")
        assert (await backend.flows.cancel(person(tenant), run.id)).status == "CANCELLED"


async def test_a_run_that_kills_every_worker_is_ended_as_a_crash_loop(stand: Stand) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        worker = await stand.worker()
        worker.kill()
        run = await backend.agents.run(person(tenant), "concierge", input="hello")
        for _ in range(5):
            worker = await stand.worker(failpoints="flows.turn.before_started=kill", replaces=worker.name)
            assert await worker.died() == -9
        await stand.worker(replaces=worker.name)
        ended = await finished(backend, person(tenant), run.id, 30)
        assert (ended.status, ended.error_code) == ("FAILED", "crash_loop")
        (listed,) = await backend.dead_letters.letters(person(tenant))
        letter = await backend.dead_letters.one(person(tenant), listed.id)
        assert (letter.consumer, letter.type) == ("flows", "agents.start_run.v1")
        assert '"hello"' in letter.payload


async def is_finished(backend: Backend, tenant: TenantId, run: RunView) -> bool:
    return (await backend.flows.get(person(tenant), run.id)).status == "SUCCEEDED"
