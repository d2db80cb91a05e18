"""BUS-7 FLW-7: a published agent's card, and A2A 1.0 spoken with the protocol's own client."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from a2a.client import ClientConfig
from a2a.client.client_factory import create_client
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    SendMessageRequest,
    TaskNotCancelableError,
    TaskNotFoundError,
    TaskState,
    UnsupportedOperationError,
)
from a2a.utils.signing import create_signature_verifier
from jwt import PyJWK
from sqlalchemy import select
from sqlmodel import col

from backend.domain.directory.views import DirectoryView
from backend.domain.flows.models import RunRow
from backend.gateway.http import runs
from tests.fixtures.a2a import said
from tests.fixtures.door import BASE, Installation

pytestmark = pytest.mark.integration
CARD = "/.well-known/agent-card.json"


async def concierge(house: Installation) -> str:
    [one] = (await house.backend.directory.agents(house.ada)).agents
    return one.agent


async def published(house: Installation) -> str:
    await house.backend.agents.publish(house.ada, "concierge")
    return await concierge(house)


async def verify(card: AgentCard, http: httpx.AsyncClient) -> None:
    """With the key from the address that the signature names."""
    header = msgspec.json.decode(_unpadded(card.signatures[0].protected))
    assert header["jku"].startswith(f"{BASE}/a2a/keys/")
    [jwk] = (await http.get(header["jku"])).json()["keys"]
    assert set(jwk) == {"kty", "crv", "use", "alg", "kid", "x"}
    create_signature_verifier(lambda kid, jku: {jwk["kid"]: PyJWK(jwk)}[kid or ""], ["EdDSA"])(card)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@asynccontextmanager
async def client_of(house: Installation, agent: str) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """The SDK's client, made of the card that it finds by itself."""
    async with house.client(house.ada_key) as http:
        client = await create_client(f"{BASE}/a2a/{agent}", ClientConfig(streaming=False, httpx_client=http))
        yield client, http


async def sent(client: Any, request: SendMessageRequest) -> Any:
    [answer] = [one async for one in client.send_message(request)]
    return answer.task


async def test_the_protocols_own_client_finds_verifies_asks_and_looks_again(installation: Installation) -> None:
    agent = await published(installation)
    async with installation.worker(), client_of(installation, agent) as (client, http):
        await verify(client._card, http)
        task = await sent(client, said("Hello there"))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        assert task.artifacts[0].parts[0].text
        assert task.history[0].parts[0].text == "Hello there"
        again = await client.get_task(GetTaskRequest(id=task.id))
        assert again == task
        assert (await sent(client, said("Hello there"))).id == task.id
        other = await sent(client, said("And again", "m2", task.context_id))
        assert (other.context_id, other.id != task.id) == (task.context_id, True)
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(UnsupportedOperationError):
            await sent(client, said("More", "m3", task=task.id))
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="run_nothing"))


async def test_a_task_that_is_not_waited_for_is_cancelled(sqlite_installation: Installation) -> None:
    agent = await published(sqlite_installation)
    async with client_of(sqlite_installation, agent) as (client, _):
        task = await sent(client, said("Hello", return_immediately=True))
        assert task.status.state == TaskState.TASK_STATE_SUBMITTED
        cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED


async def test_a_card_is_its_tenants_own_until_it_is_published(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    agent = await concierge(house)
    path = f"/a2a/{agent}{CARD}"
    async with house.client() as nobody, house.client(house.ada_key) as ada, house.client(house.bob_key) as bob:
        assert [(await one.get(path)).status_code for one in (nobody, ada, bob)] == [401, 200, 404]
        assert (await nobody.get(CARD)).status_code == 404
        await house.backend.agents.publish(house.ada, "concierge")
        cards = [await one.get(path) for one in (nobody, ada, bob)]
        assert {(card.status_code, card.text) for card in cards} == {(200, cards[0].text)}
        assert (await nobody.get(CARD)).text == cards[0].text
        await house.backend.agents.publish(house.bob, "concierge")
        assert (await nobody.get(CARD)).status_code == 404
        assert (await nobody.get(CARD, params={"agent": agent})).text == cards[0].text
        await house.backend.agents.unpublish(house.ada, "concierge")
        assert (await nobody.get(path)).status_code == 401
        assert (await nobody.get(CARD, params={"agent": agent})).status_code == 404
        await house.backend.agents.publish(house.ada, "concierge")
        await house.backend.agents.terminate(house.ada, "concierge")
        assert [(await one.get(path)).status_code for one in (nobody, ada)] == [401, 404]


async def test_a_published_card_lets_no_other_tenant_talk_to_the_agent(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    agent = await published(house)
    body = msgspec.json.encode(call("SendMessage", SEND))
    async with house.client() as nobody, house.client(house.bob_key) as bob, house.client(house.ada_key) as ada:
        assert (await nobody.post(f"/a2a/{agent}", content=body, headers=HEADERS)).status_code == 401
        assert (await bob.post(f"/a2a/{agent}", content=body, headers=HEADERS)).status_code == 404
        run = (await ada.post(f"/a2a/{agent}", content=body, headers=HEADERS)).json()["result"]["task"]["id"]
        own = await concierge_of_bob(house)
        for method in ("GetTask", "CancelTask"):
            asked = await bob.post(f"/a2a/{own}", json=call(method, {"id": run}), headers=HEADERS)
            assert asked.json()["error"]["code"] == -32001
    async with house.backend.database.read(house.bob.tenant) as session:
        assert (await session.execute(select(col(RunRow.id)))).all() == []


async def concierge_of_bob(house: Installation) -> str:
    [one] = (await house.backend.directory.agents(house.bob)).agents
    return one.agent


HEADERS = {"a2a-version": "1.0", "content-type": "application/json"}
SEND = {
    "message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "Hi"}]},
    "configuration": {"returnImmediately": True},
}


def call(method: str, params: Any, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}


def message(**changed: Any) -> dict[str, Any]:
    return call("SendMessage", SEND | {"message": SEND["message"] | changed})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 50_000, -32600),
        (b'{"a":' * 50_000, -32700),
        ([], -32600),
        ([call("GetTask", {"id": "x"})], -32600),
        ({"jsonrpc": "2.0", "method": "GetTask"}, -32600),
        (call("GetTask", {"id": "x"}, jsonrpc="1.0"), -32600),
        (call("GetTask", {"id": "x"}, id=1.5), -32600),
        (call("GetTask", {"id": "x"}, id=None), -32600),
        (call("message/send", SEND), -32601),
        (call("__class__", {}), -32601),
        (call("SendStreamingMessage", {}), -32602),
        (call("SendStreamingMessage", SEND | {"configuration": {"historyLength": -1}}), -32602),
        (call("SubscribeToTask", {"id": "run_nothing"}), -32001),
        (call("SubscribeToTask", {"id": "a\x00b"}), -32001),
        (call("SubscribeToTask", {"id": 2**80}), -32602),
        (call("SubscribeToTask", {}), -32602),
        (call("GetTask", {"id": "x"}, id="x" * 1_001), -32600),
        (call("GetTask", {"id": "x", "historyLength": -1}), -32602),
        (call("ListTasks", {"pageSize": 0}), -32602),
        (call("ListTasks", {"pageSize": 101}), -32602),
        (call("ListTasks", {"pageSize": 2**80}), -32602),
        (call("ListTasks", {"historyLength": -1}), -32602),
        (call("ListTasks", {"status": "TASK_STATE_NOTHING"}), -32602),
        (call("ListTasks", {"status": "a\x00b"}), -32602),
        (call("ListTasks", {"contextId": "x" * 5_000}), -32602),
        (call("ListTasks", {"statusTimestampAfter": "2026-01-01T00:00:00"}), -32602),
        (call("ListTasks", {"statusTimestampAfter": "yesterday"}), -32602),
        (call("ListTasks", {"pageToken": "x"}), -32602),
        (call("ListTasks", {"pageToken": "1.run_x'--"}), -32602),
        (call("ListTasks", {"pageToken": "1.run_x\n"}), -32602),
        (call("ListTasks", {"pageToken": "9" * 30 + ".run_x"}), -32602),
        (call("ListTasks", {"pageToken": "²" + ".run_x"}), -32602),
        (call("CreateTaskPushNotificationConfig", {}), -32003),
        (call("GetExtendedAgentCard", {}), -32007),
        (call("SendMessage", []), -32602),
        (call("SendMessage", {}), -32602),
        (message(role="ROLE_AGENT"), -32602),
        (message(parts=[]), -32602),
        (message(parts=[{"text": "   "}]), -32602),
        (message(parts=[{"text": "x" * 300_000}]), -32602),
        (message(parts=[{"data": {"a": 1}}]), -32005),
        (message(parts=[{"text": "a"}, {"url": "http://x"}]), -32005),
        (message(messageId=""), -32602),
        (message(messageId="x" * 5_000), -32602),
        (message(messageId="a\x00b"), -32602),
        (message(contextId="x" * 81), -32602),
        (message(contextId="a\x1bb"), -32602),
        (message(taskId="run_nothing"), -32001),
        (call("SendMessage", SEND | {"configuration": {"acceptedOutputModes": ["image/png"]}}), -32005),
        (call("GetTask", {"id": 2**80}), -32602),
        (call("GetTask", {"id": "a\x00b"}), -32001),
        (call("CancelTask", {"id": "x" * 5_000}), -32001),
    ],
)
async def test_what_cannot_be_done_is_refused_in_the_protocols_words(
    sqlite_installation: Installation, body: Any, code: int
) -> None:
    agent = await concierge(sqlite_installation)
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post(f"/a2a/{agent}", content=content, headers=HEADERS)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]
    async with sqlite_installation.backend.database.read(sqlite_installation.ada.tenant) as session:
        assert (await session.execute(select(col(RunRow.id)))).all() == []


async def test_lone_surrogates_huge_ids_and_hostile_names_break_nothing(sqlite_installation: Installation) -> None:
    agent = await concierge(sqlite_installation)
    surrogate = msgspec.json.encode(message()).replace(b'"Hi"', b'"\\ud800"')
    huge, too_huge = (
        msgspec.json.encode(message()).replace(b'"id":1', b'"id":' + b"9" * digits) for digits in (400, 5_000)
    )
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        for content, code in ((surrogate, -32700), (too_huge, -32600)):
            answer = await client.post(f"/a2a/{agent}", content=content, headers=HEADERS)
            assert answer.json()["error"]["code"] == code
        answer = await client.post(f"/a2a/{agent}", content=huge, headers=HEADERS)
        assert answer.json()["id"] == int("9" * 400)
        for name in ("%00", "%ED%A0%80", "x" * 5_000, "..%2f..", "'%20OR%201=1"):
            assert (await client.get(f"/a2a/{name}{CARD}")).status_code == 404
            assert (await client.post(f"/a2a/{name}", json=message(), headers=HEADERS)).status_code == 404
            assert (await client.get(CARD, params={"agent": name})).status_code == 404


async def test_a_stopped_agent_and_another_version_of_the_protocol_say_so(sqlite_installation: Installation) -> None:
    agent = await concierge(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        for version in ("", "0.3", "2.0", "1", "x"):
            answer = await client.post(f"/a2a/{agent}", json=message(), headers=HEADERS | {"a2a-version": version})
            assert answer.json()["error"]["code"] == -32009
        await sqlite_installation.backend.agents.stop(sqlite_installation.ada, "concierge")
        answer = await client.post(f"/a2a/{agent}", json=message(), headers=HEADERS)
        assert answer.json()["error"]["code"] == -32004
        assert "stopped" in answer.json()["error"]["message"]
        wrong = await client.post(f"/a2a/{agent}", content=b"a=b", headers={"content-type": "text/plain"})
        assert wrong.status_code == 415


async def test_the_same_message_sent_at_once_is_one_task(installation: Installation) -> None:
    agent = await concierge(installation)
    async with installation.client(installation.ada_key) as client:
        answers = await asyncio.gather(
            *(client.post(f"/a2a/{agent}", json=message(), headers=HEADERS) for _ in range(5))
        )
        changed = await client.post(f"/a2a/{agent}", json=message(parts=[{"text": "Other"}]), headers=HEADERS)
    assert len({one.json()["result"]["task"]["id"] for one in answers}) == 1
    assert changed.json()["error"]["code"] == -32602


async def test_a_key_needs_both_permissions(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    agent = await concierge(house)
    for scopes in (["agents:run"], ["agents:read"], ["chat:use"]):
        key = await house.backend.identity.create_api_key(house.ada, name="k", scopes=scopes, expires_days=1)
        async with house.client(key.secret) as client:
            assert (await client.post(f"/a2a/{agent}", json=message(), headers=HEADERS)).status_code == 403


async def test_public_keys_are_told_for_tenants_with_cards_alone(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    [one] = (await house.backend.directory.agents(house.ada)).agents
    async with house.client() as nobody:
        found = await nobody.get(f"/a2a/keys/{house.ada.tenant}")
        assert [key["kid"] for key in found.json()["keys"]] == [one.kid]
        assert "d" not in found.json()["keys"][0]
        for tenant in ("tnt_nothing", "%00", "x" * 5_000):
            assert (await nobody.get(f"/a2a/keys/{tenant}")).status_code == 404


async def test_programs_read_cards_and_who_lives_page_by_page(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sqlite_installation
    [one] = (await house.backend.directory.agents(house.ada)).agents
    async with house.client(house.ada_key) as client:
        body = (await client.get("/v1/agents/cards")).json()
        [card] = body["cards"]
        assert (card["agent"], card["status"], card["public"], body["next"]) == (one.agent, "dead", False, "")
        assert card["card"] == msgspec.json.decode(one.card)
        await house.backend.agents.stop(house.ada, "concierge")
        assert (await client.get("/v1/agents/cards")).json()["cards"][0]["status"] == "stopped"
        many = [replace(one, agent=f"agt_{number}") for number in range(3)]

        async def directory(_: object) -> DirectoryView:
            return DirectoryView(agents=tuple(many), refused=0)

        monkeypatch.setattr(house.backend.directory, "agents", directory)
        monkeypatch.setattr(runs, "_MOST_CARDS", 2)
        first = (await client.get("/v1/agents/cards")).json()
        second = (await client.get("/v1/agents/cards", params={"after": first["next"]})).json()
        assert [[card["agent"] for card in page["cards"]] for page in (first, second)] == [
            ["agt_0", "agt_1"],
            ["agt_2"],
        ]
        assert second["next"] == ""
        for after in ("x" * 5_000, "\ud7ff", "' OR 1=1"):
            assert (await client.get("/v1/agents/cards", params={"after": after})).status_code == 200
    key = await house.backend.identity.create_api_key(house.ada, name="k", scopes=["agents:run"], expires_days=1)
    monkeypatch.undo()
    async with house.client(key.secret) as less, house.client(house.bob_key) as bob:
        assert (await less.get("/v1/agents/cards")).status_code == 403
        assert one.agent not in (await bob.get("/v1/agents/cards")).text
