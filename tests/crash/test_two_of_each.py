"""CHT-3, BUS-5, OPS-2: two that serve and two that work; either of a pair dies and the other goes on."""

import contextlib
import json
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import select

from backend.app import Backend
from backend.foundation.bus.models import LeaseRow
from tests.crash.ledger import exact
from tests.crash.stand import Stand, person
from tests.crash.test_failpoints import answered
from tests.crash.test_failpoints_of_the_bus import talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.app import require_pages
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

TOKENS = 40
QUESTION = f"Tell me much. #tokens {TOKENS} #slow 100"


@pytest.mark.on_servers
async def test_a_stream_whose_web_process_dies_goes_on_at_the_other_where_it_was(
    stand: Stand, model_stub: ModelStub
) -> None:
    require_pages()
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        [somebody] = await backend.identity.users(person(tenant))
        caller = replace(person(tenant), subject=somebody.id)
        scopes = ["agents:read", "agents:run"]
        key = await backend.identity.create_api_key(caller, name="test", scopes=scopes, expires_days=None)
        await stand.worker()
        first, second = await stand.web(), await stand.web()
        headers = {"authorization": f"Bearer {key.secret}"}
        text, cursor, run = "", "", ""
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            asked = {"input": QUESTION}
            path = f"{first.url}/v1/agents/concierge/runs"
            with contextlib.suppress(httpx.HTTPError):
                async with client.stream("POST", path, json=asked, headers={"accept": "text/event-stream"}) as answer:
                    assert answer.status_code == httpx.codes.OK, await answer.aread()
                    run = answer.headers["location"]
                    async for name, data, number in events(answer):
                        cursor = number or cursor
                        text += data["text"] if name == "token" else ""
                        if text.count("token") > 5:
                            first.kill()
            assert 0 < text.count("token") < TOKENS
            async with client.stream("GET", f"{second.url}{run}/events", headers={"last-event-id": cursor}) as answer:
                assert answer.status_code == httpx.codes.OK
                last = ""
                async for name, data, _ in events(answer):
                    assert name != "reset"
                    text += data["text"] if name == "token" else ""
                    last = name
            assert last == "done"
            whole = (await client.get(f"{second.url}{run}")).json()
        assert (whole["status"], whole["output"]) == ("SUCCEEDED", text)
        assert text.split() == [f"token{number}" for number in range(TOKENS)]
        await exact(backend, model_stub)


async def test_when_the_worker_that_relays_dies_the_other_relays(stand: Stand, model_stub: ModelStub) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = {worker.member: worker for worker in (await stand.worker(), await stand.worker())}
        await talk(backend, tenant)
        relaying = await holder(backend)
        workers[relaying].kill()
        sent = await backend.chat.send(person(tenant), thread=None, agent="concierge", text="hello")
        await until(lambda: answered(backend, tenant, sent.thread), 30)
        other = await holder(backend)
        assert other in workers
        assert other != relaying
        await exact(backend, model_stub)


async def holder(backend: Backend) -> str:
    async with backend.database.system_read() as session:
        return (await session.execute(select(LeaseRow))).scalar_one().owner


async def events(answer: httpx.Response):
    """The events of a stream: name, data and cursor."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "event" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
        fields = {}
