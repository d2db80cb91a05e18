"""BUS-7 FLW-3: a task is streamed to an agent elsewhere while its worker is killed, or Valkey is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from a2a.types import GetTaskRequest

from backend.app import Backend, use
from backend.gateway.http import Door, create_app
from tests.crash.stand import Stand
from tests.crash.test_faults import tenant_of
from tests.fixtures.a2a import Told, client_on, said
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.port import on_a_port
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]
LONG = "Tell me much. #tokens 40 #slow 50"
WHO = ("a@acme.example", "correct horse battery")


@asynccontextmanager
async def client_of(backend: Backend) -> AsyncIterator[Any]:
    """The protocol's client of the tenant's one agent, at a door of this process."""
    await tenant_of(backend)
    caller = (await backend.identity.sign_in(*WHO, client="tests", address="203.0.113.9")).caller
    scopes = ["agents:read", "agents:run"]
    key = await backend.identity.create_api_key(caller, name="k", scopes=scopes, expires_days=1)
    use(backend)
    try:
        async with on_a_port(create_app(Door())) as address:

            async def announced() -> bool:
                return bool((await backend.directory.agents(caller)).agents)

            await until(announced)
            [agent] = (await backend.directory.agents(caller)).agents
            async with client_on(address, key.secret, agent.agent) as client:
                yield client
    finally:
        use(None)


async def heard(events: Any, found: Told) -> None:
    async with asyncio.timeout(90):
        async for event in events:
            found.hear(event)
            if len(found.text) > 10 and not found.whole:
                return


async def test_a_stream_goes_on_with_the_worker_that_takes_over(stand: Stand, model_stub: ModelStub) -> None:
    async with stand.open() as backend, client_of(backend) as client:
        first = await stand.worker()
        model_stub.reset()
        found, events = Told(), client.send_message(said(LONG))
        await heard(events, found)
        first.kill()
        await stand.worker(replaces=first.name)
        async with asyncio.timeout(90):
            async for event in events:
                found.hear(event)
        assert found.states == ["SUBMITTED", "WORKING", "COMPLETED"]
        task = await client.get_task(GetTaskRequest(id=found.id))
        assert (task.artifacts[0].parts[0].text, found.whole) == (found.text, True)


async def test_a_stream_that_loses_valkey_ends_with_the_whole_answer(
    stand: Stand, private_valkey: PrivateValkey, model_stub: ModelStub
) -> None:
    async with stand.open() as backend, client_of(backend) as client:
        await stand.worker()
        model_stub.reset()
        found, events = Told(), client.send_message(said(LONG))
        await heard(events, found)
        private_valkey.kill()
        async with asyncio.timeout(90):
            async for event in events:
                found.hear(event)
        assert found.states == ["SUBMITTED", "WORKING", "COMPLETED"]
        task = await client.get_task(GetTaskRequest(id=found.id))
        assert (task.artifacts[0].parts[0].text, found.whole) == (found.text, True)
        # Without it another is begun, told by its row alone, and not turned away.
        again = Told()
        async with asyncio.timeout(90):
            async for event in client.send_message(said("Hello", "m2")):
                again.hear(event)
        assert again.states[-1] == "COMPLETED"
        assert again.text
