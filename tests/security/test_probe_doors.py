"""IDN-2, IDN-3, BUS-9: every endpoint, stream and topic of the HTTP door, asked for another person's things."""

import asyncio
import re
from typing import Any

import pytest
from starlette.routing import Route

from backend.foundation.events.types import CATALOGUE
from backend.foundation.live import rules
from backend.gateway.http.app import create_routes
from state.live import history_changes, thread_changes
from tests.fixtures.door import BASE, Installation
from tests.fixtures.waiting import until
from tests.security.probing import NONE, SECRET, Ids, Person, masked, others, things_of_ada

pytestmark = pytest.mark.security

OPEN = {
    "/auth/sign-in", "/auth/setup", "/auth/sign-out", "/health", "/ready", "/metrics", "/openapi.json",
    "/asyncapi.json", "/asyncapi.yaml",
    "/v1/{rest:path}", "/auth/{rest:path}", "/events/{rest:path}", "/a2a/{rest:path}",
    "/a2a/keys/{tenant}", "/.well-known/agent-card.json",
}  # fmt: skip
"""Endpoints that tell everybody the same, or are the door itself; each has tests of its own."""
ASKED = [
    (method, route.path)
    for route in create_routes()
    if isinstance(route, Route) and route.path not in OPEN
    for method in sorted((route.methods or set()) - {"HEAD"})
]
TOPICS = sorted({entry.topic for entry in CATALOGUE.values()})
EVENT = {"specversion": "1.0", "id": "1", "source": "/probe", "type": "x", "data": {}}


def filled(path: str, ids: Ids) -> str:
    """The path with the ids in the place of its parameters; one that is not known here fails."""
    known = {"{agent}": ids.agent, "{run}": ids.run, "{topic}": f"aw.{ids.thread}"}
    known |= {"{webhook}": ids.webhook, "{delivery}": ids.delivery}
    return re.sub(r"\{[^}]*\}", lambda found: known[found[0]], path)


async def asked(house: Installation, person: Person, how: str, method: str, path: str) -> str:
    """What the door answers: status, body and the headers that could tell something."""
    credentials: dict[str, Any] = {"cookie": person.cookie} if how == "cookie" else {"key": person.key}
    async with house.client(**credentials) as client:
        body: dict[str, Any] = {"json": {"input": "x"}} if method == "POST" else {}
        answer = await client.request(method, path, headers={"origin": BASE}, **body)
    told = {name: value for name, value in answer.headers.items() if name not in ("content-length", "traceparent")}
    return f"{answer.status_code} {answer.text} {told}"


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_an_endpoint_gives_nothing_of_anybody_else(
    sqlite_installation: Installation, method: str, path: str
) -> None:
    ids = await things_of_ada(sqlite_installation)
    for person in await others(sqlite_installation):
        for how in ("cookie", "key"):
            real, none = [
                await asked(sqlite_installation, person, how, method, filled(path, each)) for each in (ids, NONE)
            ]
            assert masked(real) == masked(none), (person.name, how)
            assert SECRET not in real
            if not (person.cookie if how == "cookie" else person.key):
                assert real.startswith("401 ")
            elif person.name == "colleague":
                assert real.startswith("403 ")
    assert (await sqlite_installation.backend.flows.get(sqlite_installation.ada, ids.run)).status == "QUEUED"


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_topic_takes_nothing_that_is_not_meant_for_it(sqlite_installation: Installation, topic: str) -> None:
    """A topic that programs may not use answers as one that is not there, and an event is the sender's own."""
    public = any(entry.public and entry.topic == topic for entry in CATALOGUE.values())
    ids = await things_of_ada(sqlite_installation)
    body = EVENT | {"tenantid": sqlite_installation.ada.tenant, "subject": ids.thread}
    headers = {"content-type": "application/cloudevents+json"}
    async with sqlite_installation.client(sqlite_installation.bob_key) as client:
        answer = await client.post(f"/events/{topic}", json=body, headers=headers)
        missing = await client.post("/events/aw.nothing", json=body, headers=headers)
        if public:
            assert answer.status_code == 422 or answer.status_code == 400
        else:
            assert masked(answer.text).replace(topic, "?") == masked(missing.text).replace("aw.nothing", "?")


async def test_a_page_hears_nothing_of_another_tenants_chats(sqlite_installation: Installation) -> None:
    ids = await things_of_ada(sqlite_installation)
    ada, bob, backend = sqlite_installation.ada, sqlite_installation.bob, sqlite_installation.backend
    heard: dict[str, int] = {"ada": -1, "bob": -1}

    async def listen(name: str, changes: Any) -> None:
        async for _ in changes:
            heard[name] += 1

    async with asyncio.TaskGroup() as tasks:
        listeners = [
            tasks.create_task(listen(name, changes))
            for name, caller in (("ada", ada), ("bob", bob))
            for changes in (thread_changes(caller, ids.thread), history_changes(caller))
        ]
        async with backend.live.listen(rules.thread_channel(ada.tenant, ids.thread)) as notices:
            await until(lambda: min(heard.values()) == 1)
            await backend.chat.send(ada, thread=ids.thread, agent="concierge", text=SECRET, client_id="a2")
            await anext(notices)
            await until(lambda: heard["ada"] >= 2)
        assert heard["bob"] == 1
        for listener in listeners:
            listener.cancel()


def test_what_carries_content_is_named_by_its_tenant() -> None:
    """Channels without a tenant say only that somebody should look, and streams are read behind a check of the run."""
    named = {name: rule for name, rule in vars(rules).items() if name.endswith(("_channel", "_stream"))}
    without = {name for name, rule in named.items() if "tenant" not in rule.__code__.co_varnames}
    assert without == {
        "run_stream", "runs_channel", "cancel_channel", "ended_channel", "outbox_channel", "sessions_channel",
        "health_channel", "deliveries_channel",
    }  # fmt: skip
