"""BUS-7 FLW-7 API-2: tasks of A2A are streamed, watched by the protocol's own client over real connections."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from a2a.types import (
    GetTaskRequest,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from sqlalchemy import select, update
from sqlmodel import col
from starlette.applications import Starlette

from backend.domain.flows.models import RunRow
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.service import RunWriter
from backend.gateway.http import stream
from backend.gateway.http.a2a import Talk
from backend.gateway.http.endpoints import endpoint
from tests.fixtures.a2a import Told, client_on, said, told
from tests.fixtures.asgi import Streamed
from tests.fixtures.door import Installation
from tests.fixtures.port import on_a_port

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def address(sqlite_installation: Installation) -> AsyncGenerator[str]:
    async with on_a_port(sqlite_installation.app) as url:
        yield url


async def agent_of(house: Installation, caller: Any = None) -> str:
    [one] = (await house.backend.directory.agents(caller or house.ada)).agents
    return one.agent


async def queued(house: Installation) -> tuple[str, RunWriter]:
    """A run that nobody works on, and the writer of its stream."""
    run = await house.backend.agents.run(house.ada, "concierge", input="Hello", thread="c1")
    return run.id, house.backend.live.writer(run.id, 1)


async def finish(house: Installation, run: str, output: str, status: str = "SUCCEEDED") -> None:
    async with house.backend.database.system_write() as session:
        values = {"status": status, "output": output, "finished_ms": RunRow.created_ms}
        await session.execute(update(RunRow).where(col(RunRow.id) == run).values(values))


async def next_of(events: Any, found: Told) -> None:
    async with asyncio.timeout(60):
        found.hear(await anext(events))


async def rest_of(events: Any, found: Told) -> None:
    async with asyncio.timeout(60):
        async for event in events:
            found.hear(event)


async def test_a_message_is_answered_piece_by_piece_and_the_pieces_are_the_answer(installation: Installation) -> None:
    agent = await agent_of(installation)
    async with (
        installation.worker(),
        on_a_port(installation.app) as address,
        client_on(address, installation.ada_key, agent) as client,
    ):
        assert client._card.capabilities.streaming
        first = await told(client.send_message(said("Hello there", "m1", "c1")))
        assert first.states == ["SUBMITTED", "WORKING", "COMPLETED"]
        assert first.whole
        task = await client.get_task(GetTaskRequest(id=first.id))
        assert task.artifacts[0].parts[0].text == first.text
        assert task.context_id == first.context == "c1"
        # The same message is the same task, which is over and says it all at once.
        again = await told(client.send_message(said("Hello there", "m1", "c1", history_length=0)))
        assert (again.id, again.states, again.text) == (first.id, ["COMPLETED"], first.text)
        with pytest.raises(UnsupportedOperationError, match="over"):
            await told(client.subscribe(SubscribeToTaskRequest(id=first.id)))
        sum_of = await told(client.send_message(said("What is 7 times 6?", "m2")))
        assert "42" in sum_of.text
        assert any("calculator" in words for words in sum_of.words), sum_of.words


async def test_who_comes_in_the_middle_hears_the_answer_from_its_beginning_as_it_is_made(
    sqlite_installation: Installation, address: str
) -> None:
    run, writer = await queued(sqlite_installation)
    agent = await agent_of(sqlite_installation)
    async with client_on(address, sqlite_installation.ada_key, agent) as client:
        seen = [Told(), Told()]
        watching = [client.subscribe(SubscribeToTaskRequest(id=run)) for _ in seen]
        for events, found in zip(watching, seen, strict=True):
            await next_of(events, found)
        writer.token("llm#0/turn[0]", "one ")
        await writer.flush()
        for events, found in zip(watching, seen, strict=True):
            await next_of(events, found)
        # One goes away, which ends nothing, and comes back.
        await watching[0].aclose()
        writer.token("llm#0/turn[0]", "two\u2028\x85\u2029 ")
        await writer.flush()
        back = Told()
        returned = client.subscribe(SubscribeToTaskRequest(id=run))
        while not back.text.endswith("\u2029 "):
            await next_of(returned, back)
        writer.token("llm#0/turn[1]", "three")
        await finish(sqlite_installation, run, "one two\u2028\x85\u2029 \n\nthree")
        await writer.done({"status": "SUCCEEDED", "output": "one two\u2028\x85\u2029 \n\nthree"})
        for events, found in ((watching[1], seen[1]), (returned, back)):
            await rest_of(events, found)
            assert (found.text, found.whole) == ("one two\u2028\x85\u2029 \n\nthree", True)
            assert found.states == ["SUBMITTED", "COMPLETED"]


async def test_what_was_lost_or_taken_back_is_made_good(sqlite_installation: Installation, address: str) -> None:
    house = sqlite_installation
    agent = await agent_of(house)
    async with client_on(address, house.ada_key, agent) as client:
        # A turn that is tried again.
        run, writer = await queued(house)
        events, found = client.subscribe(SubscribeToTaskRequest(id=run)), Told()
        await next_of(events, found)
        writer.token("t", "wrong")
        writer.reset("t")
        writer.token("t", "right")
        await finish(house, run, "right, all")
        await writer.done({})
        await rest_of(events, found)
        assert found.text == "right, all"
        # A stream whose beginning was trimmed.
        run, writer = await queued(house)
        writer.token("t", "lost ")
        await writer.flush()
        await house.backend.live.forget_run(run)
        writer.token("t", "kept")
        await writer.flush()
        events, found = client.subscribe(SubscribeToTaskRequest(id=run)), Told()
        await next_of(events, found)
        await finish(house, run, "lost kept", "FAILED")
        await writer.done({})
        await rest_of(events, found)
        assert (found.text, found.states[-1]) == ("lost kept", "FAILED")


async def test_without_the_live_store_the_rows_tell_how_it_goes_on_and_ends(
    sqlite_installation: Installation, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> Any:
        raise Unavailable("The live store does not answer.")

    house = sqlite_installation
    monkeypatch.setattr(stream, "_STORE_AGAIN_S", 0.02)
    monkeypatch.setattr(type(house.backend.live), "run_entries", down)
    run, _ = await queued(house)
    async with client_on(address, house.ada_key, await agent_of(house)) as client:
        events, found = client.subscribe(SubscribeToTaskRequest(id=run)), Told()
        await next_of(events, found)
        async with house.backend.database.system_write() as session:
            await session.execute(update(RunRow).where(col(RunRow.id) == run).values(status="RUNNING"))
        await next_of(events, found)
        await finish(house, run, "whole")
        await rest_of(events, found)
    assert (found.states, found.text) == (["SUBMITTED", "WORKING", "COMPLETED"], "whole")


async def test_a_task_that_is_cancelled_ends_its_streams(sqlite_installation: Installation, address: str) -> None:
    house = sqlite_installation
    run, _ = await queued(house)
    async with client_on(address, house.ada_key, await agent_of(house)) as client:
        events, found = client.subscribe(SubscribeToTaskRequest(id=run)), Told()
        await next_of(events, found)
        await house.backend.flows.cancel(house.ada, run)
        await rest_of(events, found)
    assert (found.states, found.text) == (["SUBMITTED", "CANCELED"], "")


async def test_another_tenants_task_is_not_there_and_a_key_without_permission_streams_nothing(
    sqlite_installation: Installation, address: str
) -> None:
    house = sqlite_installation
    run, _ = await queued(house)
    agent, other = await agent_of(house), await agent_of(house, house.bob)
    async with client_on(address, house.bob_key, other) as client:
        with pytest.raises(TaskNotFoundError):
            await told(client.subscribe(SubscribeToTaskRequest(id=run)))
        with pytest.raises(TaskNotFoundError):
            await told(client.send_message(said("More", task=run)))
    headers = {"a2a-version": "1.0", "content-type": "application/json"}
    body = call("SendStreamingMessage", SEND)
    for scopes, wanted in ((["agents:read"], 403), (["agents:run"], 403), (["chat:use"], 403)):
        key = await house.backend.identity.create_api_key(house.ada, name="k", scopes=scopes, expires_days=1)
        async with house.client(key.secret) as client:
            answer = await client.post(f"/a2a/{agent}", content=body, headers=headers)
            assert answer.status_code == wanted
    async with house.client() as nobody:
        assert (await nobody.post(f"/a2a/{agent}", content=body, headers=headers)).status_code == 401
    async with house.backend.database.read(house.ada.tenant) as session:
        assert (await session.execute(select(col(RunRow.id)))).scalars().all() == [run]


SEND = {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "Hi"}]}}


def call(method: str, params: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def watch(house: Installation, agent: str, body: bytes, app: Any = None) -> Streamed:
    headers = {
        "authorization": f"Bearer {house.ada_key}",
        "a2a-version": "1.0",
        "content-type": "application/json",
    }
    return Streamed(app or house.app, f"/a2a/{agent}", method="POST", headers=headers, body=body)


async def test_a_quiet_stream_is_kept_open_and_a_revoked_key_ends_it(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IDN-1."""
    monkeypatch.setattr(stream, "_QUIET_S", 0.02)
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.02)
    house = sqlite_installation
    async with watch(house, await agent_of(house), call("SendStreamingMessage", SEND)) as watching:
        assert watching.received["content-type"].startswith("text/event-stream")
        assert watching.received["cache-control"] == "no-store"
        assert (await watching.piece()).startswith('data: {"jsonrpc":"2.0","id":1,"result":{"task":{"id":"run_')
        assert [await watching.piece() for _ in range(2)] == [": still here"] * 2
        for key in await house.backend.identity.api_keys(house.ada):
            await house.backend.identity.revoke_api_key(house.ada, key.id)
        assert await watching.ended()


async def test_more_streams_than_places_start_nothing_and_each_gives_its_place_back(
    sqlite_installation: Installation,
) -> None:
    house = sqlite_installation
    agent = await agent_of(house)
    app = Starlette(routes=[endpoint("POST", "/a2a/{agent}", Talk(stream.Seats(most=1)).call)])
    for number in range(3):
        # What is refused keeps no place.
        async with watch(house, agent, call("SubscribeToTask", {"id": "run_nothing"}), app) as refused:
            assert "error" in (await refused._next())["body"].decode()
        async with watch(house, agent, call("SendStreamingMessage", message(f"m{number}")), app) as watching:
            await watching.piece()
            async with watch(house, agent, call("SendStreamingMessage", message("x")), app) as full:
                assert full.status == 503
    async with house.backend.database.read(house.ada.tenant) as session:
        runs = (await session.execute(select(col(RunRow.status)))).scalars().all()
    assert runs == ["QUEUED"] * 3


def message(number: str) -> dict[str, Any]:
    return {"message": SEND["message"] | {"messageId": number}}


async def test_the_same_message_streamed_twice_at_once_is_one_task(
    sqlite_installation: Installation, address: str
) -> None:
    house = sqlite_installation
    request: SendMessageRequest = said("Hello there", "m1")
    async with house.worker(), client_on(address, house.ada_key, await agent_of(house)) as client:
        found = await asyncio.gather(*(told(client.send_message(request)) for _ in range(3)))
    assert len({one.id for one in found}) == 1
    assert {(one.text, one.states[-1]) for one in found} == {(found[0].text, "COMPLETED")}
