"""BUS-6: the AsyncAPI document, as the door serves it and as the public parser reads it."""

import msgspec
import pytest

from backend.bootstrap.wiring import consumers_of
from backend.foundation.events.types import CATALOGUE
from tests.fixtures.asyncapi import judged
from tests.fixtures.door import Installation

pytestmark = pytest.mark.integration


async def test_the_public_parser_finds_nothing_wrong_with_the_document(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client() as client:
        as_json, as_yaml = await client.get("/asyncapi.json"), await client.get("/asyncapi.yaml")
    assert (as_json.headers["content-type"], as_yaml.headers["content-type"]) == (
        "application/json",
        "application/yaml",
    )
    assert msgspec.yaml.decode(as_yaml.content) == as_json.json()
    for text in (as_json.text, as_yaml.text):
        said = judged(text)
        assert said["found"] == []
        assert sorted(said["messages"]) == sorted(CATALOGUE)


async def test_an_agents_document_holds_what_it_receives_and_sends(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        [agent] = (await client.get("/v1/agents")).json()["agents"]
        by_slug = await client.get(f"/v1/agents/{agent['slug']}/asyncapi.json")
        by_id = await client.get(f"/v1/agents/{agent['id']}/asyncapi.yaml")
    assert msgspec.yaml.decode(by_id.content) == by_slug.json()
    assert judged(by_slug.text)["found"] == []
    described = by_slug.json()
    assert described["info"]["title"] == agent["name"]
    assert sorted(described["operations"]) == [
        "agents-receives-agents.start_run.v1",
        "agents-receives-chat.message_sent.v1",
        "agents-sends-agents.run_refused.v1",
        "directory-sends-agents.card_announced.v1",
        "directory-sends-agents.card_withdrawn.v1",
        "flows-sends-flows.run_finished.v1",
    ]
    for schema in described["components"]["schemas"].values():
        assert schema["properties"]["agent"]["enum"] == [agent["slug"], agent["id"]]


async def test_an_agents_document_needs_permission_and_the_agents_tenant(sqlite_installation: Installation) -> None:
    """IDN-2, IDN-3."""
    house = sqlite_installation
    [agent] = await house.backend.agents.list(house.ada)
    made = await house.backend.identity.create_api_key(house.ada, name="k", scopes=["chat:use"], expires_days=1)
    answers: list[int] = []
    for key in ("", made.secret, house.bob_key):
        async with house.client(key) as client:
            answers.append((await client.get(f"/v1/agents/{agent.id}/asyncapi.json")).status_code)
    assert answers == [401, 403, 404]


async def test_the_catalogue_names_who_listens_as_the_wiring_does(sqlite_installation: Installation) -> None:
    consumers = consumers_of(sqlite_installation.backend)
    bound = {(name, consumer) for consumer, one in consumers.items() for name in one.handlers}
    assert bound == {(name, consumer) for name, entry in CATALOGUE.items() for consumer in entry.handled_by}


async def test_the_served_document_says_how_the_topics_of_this_installation_have_to_be(
    sqlite_installation: Installation,
) -> None:
    """BUS-1."""
    async with sqlite_installation.client() as client:
        channels = (await client.get("/asyncapi.json")).json()["channels"]
    made = {topic.name: topic for topic in await sqlite_installation.backend.bus.topics()}
    assert channels.keys() == made.keys()
    for name, channel in channels.items():
        kept = channel["x-retention"]["embedded"]
        told = (channel["bindings"]["kafka"]["partitions"], kept["retention.ms"], kept["cleanup.policy"])
        assert told == (made[name].partitions, made[name].retention_ms, made[name].cleanup)
