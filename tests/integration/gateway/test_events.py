"""BUS-9: CloudEvents over HTTP, in three modes, for the sender's own tenant only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from backend.foundation.events.codec import decode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Forbidden
from tests.fixtures.door import Installation

pytestmark = pytest.mark.integration

TOPIC = "/events/aw.agents"
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "order-1",
    "ce-source": "/shop",
    "ce-type": "agents.start_run.v1",
    "content-type": "application/json",
}
DATA = {"agent": "concierge", "input": "Hello"}
STRUCTURED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "order-1",
    "source": "/shop",
    "type": "agents.start_run.v1",
    "data": DATA,
}
ONE = {"content-type": "application/cloudevents+json; charset=utf-8"}
MANY = {"content-type": "application/cloudevents-batch+json"}


@asynccontextmanager
async def _heard(house: Installation) -> AsyncIterator[asyncio.Queue[Event]]:
    """What the mesh carries from now on."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with house.backend.bus.watch("agents.start_run.v1") as deliveries:

        async def listen() -> None:
            async for delivery in deliveries:
                message = delivery.message
                events.put_nowait(decode(message.headers, message.value, message.key))

        listening = asyncio.create_task(listen())
        try:
            yield events
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _next(events: asyncio.Queue[Event]) -> Event:
    async with asyncio.timeout(10):
        return await events.get()


async def test_an_event_in_binary_mode_is_on_the_mesh_before_the_answer(installation: Installation) -> None:
    headers = BINARY | {"ce-subject": "caf%C3%A9", "ce-partitionkey": "k1", "ce-time": "2026-01-02T03:04:05Z"}
    async with _heard(installation) as events, installation.client(installation.ada_key) as client:
        answer = await client.post(TOPIC, content=msgspec.json.encode(DATA), headers=headers)
        assert answer.status_code == 202
        assert answer.json()["ids"] == ["order-1"]
        event = await _next(events)
    assert answer.json()["events"] == [event.id]
    assert (event.tenant, event.key, event.subject, event.source) == (installation.ada.tenant, "k1", "café", "/shop")
    assert event.data == StartRun(agent="concierge", input="Hello")
    assert event.time_ms == 1767323045000
    assert event.traceparent


async def test_structured_and_batch_mode_mean_the_same(sqlite_installation: Installation) -> None:
    async with _heard(sqlite_installation) as events, sqlite_installation.client(sqlite_installation.ada_key) as client:
        one = await client.post(TOPIC, content=msgspec.json.encode(STRUCTURED), headers=ONE)
        batch = [STRUCTURED, STRUCTURED | {"id": "order-2"}]
        many = await client.post(TOPIC, content=msgspec.json.encode(batch), headers=MANY)
        heard = [await _next(events) for _ in range(3)]
    assert (one.status_code, many.status_code) == (202, 202)
    assert many.json()["ids"] == ["order-1", "order-2"]
    # The same event sent twice is one to every receiver.
    assert heard[0].id == heard[1].id != heard[2].id


async def test_an_event_belongs_to_the_senders_tenant_whatever_it_says(sqlite_installation: Installation) -> None:
    """IDN-3."""
    lie = STRUCTURED | {"tenantid": sqlite_installation.ada.tenant}
    async with _heard(sqlite_installation) as events, sqlite_installation.client(sqlite_installation.bob_key) as client:
        await client.post(TOPIC, content=msgspec.json.encode(lie), headers=ONE)
        binary = BINARY | {"ce-tenantid": sqlite_installation.ada.tenant}
        await client.post(TOPIC, content=msgspec.json.encode(DATA), headers=binary)
        heard = [await _next(events) for _ in range(2)]
    assert {event.tenant for event in heard} == {sqlite_installation.bob.tenant}


async def test_nobody_takes_another_tenants_event_id_first(sqlite_installation: Installation) -> None:
    """IDN-3."""
    ids: list[str] = []
    for key in (sqlite_installation.ada_key, sqlite_installation.bob_key):
        async with sqlite_installation.client(key) as client:
            answer = await client.post(TOPIC, content=msgspec.json.encode(STRUCTURED), headers=ONE)
            ids += answer.json()["events"]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"data": {"agent": "concierge"}}, "event_payload_invalid", "input"),
        ({"data": {"agent": "concierge", "input": 3}}, "event_payload_invalid", "$.input"),
        ({"type": "no.such.v1"}, "event_type_unknown", "no.such.v1"),
        ({"type": "chat.message_sent.v1", "data": {}}, "event_payload_invalid", "chat.message_sent.v1"),
        ({"specversion": "0.3"}, "event_undecodable", "0.3"),
        ({"id": ""}, "event_undecodable", "id"),
        ({"id": "x" * 257}, "event_undecodable", "id"),
        ({"partitionkey": "a\nb"}, "event_attribute_invalid", "partitionkey"),
        ({"source": 7}, "event_undecodable", "source"),
        ({"time": "yesterday"}, "event_undecodable", "yesterday"),
    ],
)
async def test_a_wrong_event_is_refused_by_name_and_nothing_is_published(
    sqlite_installation: Installation, change: dict[str, Any], code: str, word: str
) -> None:
    wrong = STRUCTURED | change
    async with _heard(sqlite_installation) as events, sqlite_installation.client(sqlite_installation.ada_key) as client:
        one = await client.post(TOPIC, content=msgspec.json.encode(wrong), headers=ONE)
        many = await client.post(TOPIC, content=msgspec.json.encode([STRUCTURED, wrong]), headers=MANY)
        assert events.empty()
    assert (one.status_code, one.json()["code"]) == (422, code)
    assert word in one.json()["detail"]
    assert many.status_code == 422
    assert many.json()["field"].startswith("$[1]")
    assert "Event 1 of the batch" in many.json()["detail"]


async def test_an_internal_type_is_not_taken_from_outside(sqlite_installation: Installation) -> None:
    finished = STRUCTURED | {
        "type": "flows.run_finished.v1",
        "data": dict.fromkeys(("run", "agent", "thread", "trigger", "source", "status", "output"), ""),
    }
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        here = await client.post(TOPIC, content=msgspec.json.encode(finished), headers=ONE)
        there = await client.post("/events/aw.runs", content=msgspec.json.encode(finished), headers=ONE)
        nowhere = await client.post("/events/no.such", content=msgspec.json.encode(finished), headers=ONE)
    assert (here.status_code, here.json()["code"]) == (422, "event_type_not_taken")
    assert {there.json()["code"], nowhere.json()["code"]} == {"topic_not_found"}


async def test_publishing_needs_the_permission(sqlite_installation: Installation) -> None:
    """IDN-2."""
    made = await sqlite_installation.backend.identity.create_api_key(
        sqlite_installation.ada, name="k", scopes=["agents:run"], expires_days=1
    )
    async with sqlite_installation.client(made.secret) as client:
        answer = await client.post(TOPIC, content=msgspec.json.encode(STRUCTURED), headers=ONE)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"[]", MANY, 422),
        (b"{}", MANY, 422),
        (b"[1]", MANY, 422),
        (b"null", ONE, 422),
        (b"[" * 100_000, MANY, 422),
        (b'{"data":' * 100_000, ONE, 422),
        (b"[" + b"{}," * 500 + b"{}]", MANY, 413),
        (b"x" * (1024 * 1024 + 1), ONE, 413),
        (b"\xff\xfe", ONE, 422),
        (b"hello", BINARY | {"content-type": "text/plain"}, 422),
        (b'{"agent":"c","input":"x","z":' + b"[" * 200_000 + b"]" * 200_000 + b"}", BINARY, 422),
    ],
)
async def test_a_hostile_body_is_a_clear_refusal(
    sqlite_installation: Installation, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post(TOPIC, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "told", ["x" * 5_000, "00-\x00\n", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'A' * 32}-{'1' * 16}-01"]
)
async def test_a_trace_that_is_none_does_not_travel_on(sqlite_installation: Installation, told: str) -> None:
    """OBS-2."""
    async with _heard(sqlite_installation) as events, sqlite_installation.client(sqlite_installation.ada_key) as client:
        wrong = STRUCTURED | {"traceparent": told}
        assert (await client.post(TOPIC, content=msgspec.json.encode(wrong), headers=ONE)).status_code == 202
        assert len((await _next(events)).traceparent) == 55
        mine = f"00-{'1' * 32}-{'2' * 16}-01"
        right = STRUCTURED | {"traceparent": mine}
        assert (await client.post(TOPIC, content=msgspec.json.encode(right), headers=ONE)).status_code == 202
        assert (await _next(events)).traceparent == mine


@pytest.mark.parametrize(
    ("change", "field", "word"),
    [
        ({"agent": "nobody"}, "data.agent", "no agent 'nobody'"),
        ({"agent": "x" * 5_000}, "data.agent", "no agent 'xxx"),
        ({"agent": "con\x00cierge"}, "data.agent", "no agent"),
        ({"agent": ""}, "data.agent", "no agent ''"),
        ({"input": " \x00"}, "data.input", "empty"),
        ({"input": "x" * 200_001}, "data.input", "200,001"),
        ({"thread": "a\nb"}, "data.thread", "thread"),
    ],
)
async def test_a_command_that_cannot_succeed_is_refused_at_the_door(
    installation: Installation, change: dict[str, str], field: str, word: str
) -> None:
    """BUS-9: now its sender can mend it; as a dead letter only an administrator could."""
    wrong = STRUCTURED | {"data": DATA | change}
    async with _heard(installation) as events, installation.client(installation.ada_key) as client:
        one = await client.post(TOPIC, content=msgspec.json.encode(wrong), headers=ONE)
        many = await client.post(TOPIC, content=msgspec.json.encode([STRUCTURED, wrong]), headers=MANY)
        alone = await client.post(TOPIC, content=msgspec.json.encode([wrong]), headers=MANY)
        assert events.empty()
    for answer, place in ((one, field), (many, f"$[1].{field}"), (alone, f"$[0].{field}")):
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "event_hopeless", place)
        assert word in answer.json()["detail"]


async def test_an_agent_that_is_stopped_gone_or_of_another_tenant_takes_no_command(installation: Installation) -> None:
    """IDN-3: another tenant's agent looks like none."""
    (mine,) = await installation.backend.agents.list(installation.ada)
    command = msgspec.json.encode(STRUCTURED | {"data": DATA | {"agent": mine.id}})
    told: list[tuple[int, str]] = []
    async with installation.client(installation.ada_key) as ada, installation.client(installation.bob_key) as bob:
        for change in (None, installation.backend.agents.stop, installation.backend.agents.terminate):
            if change is not None:
                await change(installation.ada, mine.id)
            answer = await ada.post(TOPIC, content=command, headers=ONE)
            told.append((answer.status_code, answer.json().get("detail", "")))
        theirs = await bob.post(TOPIC, content=command, headers=ONE)
    assert told == [(202, ""), (422, "Agent 'Concierge' is stopped."), (422, "Agent 'Concierge' was terminated.")]
    assert (theirs.status_code, theirs.json()["detail"]) == (422, f"There is no agent '{mine.id}'.")


async def test_agents_are_looked_up_for_who_may_publish_alone(sqlite_installation: Installation) -> None:
    """IDN-2."""
    reader = replace(sqlite_installation.ada, permissions=frozenset({Permission.AGENTS_READ}))
    with pytest.raises(Forbidden):
        await sqlite_installation.backend.agents.refusals(reader, [StartRun(agent="concierge", input="x")])
