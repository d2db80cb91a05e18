"""BUS-6: the catalogue of events in admin tabs over real rooms and a real bus."""

from contextlib import aclosing

import msgspec
import pytest

from backend.foundation.events.types import CATALOGUE
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Forbidden, NotFound, Unauthenticated
from backend.reads import catalogue
from state.admin.event_type import EventTypeState
from state.admin.event_types import EventTypesState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab
from tests.integration.state.test_session import target
from tests.integration.state.test_topics import event, watching

pytestmark = pytest.mark.integration

PATH = "/admin/events"
START = f"{PATH}/agents.start_run.v1"


async def listed(house: Installation, query: str = "") -> EventTypesState:
    state = await Tab(house.ada_cookie, PATH + query).state(EventTypesState)
    await state.load()
    return state


async def opened(house: Installation, name: str) -> EventTypeState:
    state = await Tab(house.ada_cookie, f"{PATH}/{name}").state(EventTypeState)
    await state.load()
    return state


async def test_every_type_of_the_catalogue_is_listed_with_who_sends_and_who_listens(
    sqlite_installation: Installation,
) -> None:
    state = await listed(sqlite_installation)
    lines = {line["name"]: line for line in state.lines}
    assert list(lines) == sorted(CATALOGUE)
    assert lines["agents.start_run.v1"] == {
        "name": "agents.start_run.v1",
        "summary": "Ask an agent to run.",
        "topic": "aw.agents",
        "sent_by": "programs",
        "handled_by": "agents",
    }
    assert lines["chat.event_given_up.v1"]["handled_by"] == "webhooks"
    assert lines["webhooks.event_given_up.v1"]["handled_by"] == "nobody"
    assert state.rooms == ["agents", "bus", "chat", "directory", "flows", "webhooks"]
    assert state.contracts == [{"name": "Concierge", "document": "/v1/agents/concierge/asyncapi"}]


async def test_the_list_is_filtered_by_the_address(sqlite_installation: Installation) -> None:
    for query, names in {
        "?text=AW.RUNS": ["agents.run_refused.v1", "flows.run_finished.v1"],
        "?text=payload_base64": [f"{room}.event_given_up.v1" for room in ("agents", "chat", "flows", "webhooks")],
        "?room=flows": ["flows.event_given_up.v1", "flows.run_finished.v1"],
        "?room=flows&text=finished": ["flows.run_finished.v1"],
        "?text=%00%1b": [],
        "?room=nobody": [],
    }.items():
        assert [line["name"] for line in (await listed(sqlite_installation, query)).lines] == names, query
    state = await listed(sqlite_installation, "?room=flows")
    assert target(state.choose("text", "a b")) == f"{PATH}?text=a+b&room=flows"


@pytest.mark.parametrize("name", CATALOGUE)
async def test_each_type_has_a_page_with_fields_example_and_protobuf(
    sqlite_installation: Installation, name: str
) -> None:
    state, entry = await opened(sqlite_installation, name), CATALOGUE[name]
    assert state.phase == "ready"
    assert {line["name"]: line["needed"] == "required" for line in state.fields} == {
        field.encode_name: field.required for field in msgspec.structs.fields(entry.data)
    }
    assert all(line["type"] != "anything" for line in state.fields)
    assert msgspec.json.decode(state.view["example"], type=entry.data) == entry.example
    assert state.view["protobuf"].startswith(f"message {entry.data.__name__} {{\n")
    assert all(f" {line['name']} = " in state.view["protobuf"] for line in state.fields)


async def test_a_type_shows_how_many_come_and_how_many_wait(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-10."""
    monkeypatch.setattr(catalogue, "_TICK_S", 0.05)
    house = sqlite_installation
    state = await opened(house, "agents.start_run.v1")
    assert (state.rate, state.waiting) == ("", [])
    async with watching(state):
        await until(lambda: state.rate == "0.0 / s")
        assert state.waiting == [{"name": "agents", "lag": "0", "behind": False}]

        async def counted() -> bool:
            await house.backend.bus.emit(event(house.ada, "one"))
            return state.rate != "0.0 / s"

        await until(counted, 30.0)


async def test_what_is_not_ones_own_is_not_counted(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IDN-2."""
    monkeypatch.setattr(catalogue, "_TICK_S", 0.05)
    house = sqlite_installation
    async with aclosing(house.backend.catalogue.flow(house.ada, "agents.start_run.v1")) as flow:
        rates = []
        for _ in range(6):
            rates.append((await anext(flow)).per_s)
            await house.backend.bus.emit(event(house.bob, "Bob's"))
    assert rates == [None, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("name", ["x", "agents.start_run.v2", "", "%00", "a" * 5_000])
async def test_what_is_no_type_is_just_not_there(sqlite_installation: Installation, name: str) -> None:
    assert (await opened(sqlite_installation, name)).phase == "missing"
    with pytest.raises(NotFound):
        sqlite_installation.backend.catalogue.one(sqlite_installation.ada, name)


@pytest.mark.parametrize("kind", [EventTypesState, EventTypeState])
async def test_nothing_is_shown_without_a_session(sqlite_installation: Installation, kind: type) -> None:
    """IDN-2."""
    state = await Tab("", START).state(kind)
    with pytest.raises(Unauthenticated):
        await state.load()


async def test_every_verb_needs_its_permission(sqlite_installation: Installation) -> None:
    """IDN-2."""
    house = sqlite_installation
    nobody = Caller(tenant=house.ada.tenant, subject="usr_none")
    verbs = house.backend.catalogue
    with pytest.raises(Forbidden):
        verbs.types(nobody)
    with pytest.raises(Forbidden):
        verbs.one(nobody, "agents.start_run.v1")
    with pytest.raises(Forbidden):
        await anext(verbs.flow(nobody, "agents.start_run.v1"))
