"""BUS-7: agents and their cards in admin tabs over real rooms and a real bus."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from backend.domain.agents.errors import AgentNotFound
from backend.domain.directory.models import CardRow
from backend.domain.directory.service import directory as service
from backend.foundation.kernel.errors import Forbidden
from backend.foundation.telemetry.repository import upsert_process
from state.admin.card import CardState
from state.admin.discovery import DiscoveryState, some
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab

pytestmark = pytest.mark.integration
PATIENCE_S = 30.0


@asynccontextmanager
async def watching(state: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(type(state).watch.fn(state))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _worker(house: Installation) -> None:
    async with house.backend.database.system_write() as session:
        process = {"id": "prc_1", "service": "worker", "roles": ["agents"], "host": "h", "pid": 1}
        await upsert_process(session, process | {"figures": {}, "samples": {}})


async def _changes(state: Any, holds: Callable[[], bool]) -> None:
    await until(holds, PATIENCE_S)


async def test_the_list_shows_who_lives_and_each_change(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sqlite_installation
    monkeypatch.setattr(service, "LOOK_S", 0.02)
    state = await Tab(house.ada_cookie, "/admin/agents").state(DiscoveryState)
    async with watching(state):
        await _changes(state, lambda: state.loaded)
        [line] = state.lines
        assert (line["name"], line["status"], line["shape"], line["since_ms"]) == ("Concierge", "Dead", "failed", 0)
        assert state.dead
        assert line["skills"].endswith("and 1 more")
        assert "aw.agents" in line["topics"]
        assert state.fresh == []
        await _worker(house)
        await _changes(state, lambda: [line["status"] for line in state.lines] == ["Alive"])
        assert not state.dead
        assert state.fresh == [line["agent"]]
        await house.backend.agents.stop(house.ada, "concierge")
        await _changes(state, lambda: [line["status"] for line in state.lines] == ["Stopped"])
        await house.backend.agents.terminate(house.ada, "concierge")
        await _changes(state, lambda: state.lines == [])


async def test_the_card_can_be_published_and_the_agent_stopped_by_who_may(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    await _worker(house)
    [shown] = (await house.backend.directory.agents(house.ada)).agents
    state = await Tab(house.ada_cookie, f"/admin/agents/{shown.agent}").state(CardState)
    async with watching(state):
        await _changes(state, lambda: state.phase == "ready")
        assert (state.view["status"], state.view["kid"]) == ("Alive", shown.kid)
        assert state.view["card"] == shown.card
        assert {flow["way"] for flow in state.flows} == {"Takes", "Tells"}
        await state.publish()
        await _changes(state, lambda: state.view["public"])
        await state.stop()
        await _changes(state, lambda: state.view["status"] == "Stopped")
        await state.start()
        await state.unpublish()
        await _changes(state, lambda: (state.view["status"], state.view["public"]) == ("Alive", False))
        await house.backend.agents.terminate(house.ada, "concierge")
        await _changes(state, lambda: state.phase == "missing")
    actions = [entry.action for entry in await house.backend.audit.entries(house.ada, action="agents.")]
    assert actions == [
        "agents.terminated", "agents.unpublished", "agents.started", "agents.stopped", "agents.published",
    ]  # fmt: skip


async def test_another_workspaces_card_is_missing_and_its_agent_cannot_be_touched(
    sqlite_installation: Installation,
) -> None:
    house = sqlite_installation
    [hers] = (await house.backend.directory.agents(house.ada)).agents
    state = await Tab(house.bob_cookie, f"/admin/agents/{hers.agent}").state(CardState)
    async with watching(state):
        await _changes(state, lambda: state.phase == "missing")
    assert state.view == {}
    for act in (state.start, state.stop, state.publish, state.unpublish):
        with pytest.raises(AgentNotFound):
            await act()
    assert (await house.backend.directory.agents(house.ada)).agents == (hers,)


async def test_stored_cards_that_are_not_believed_are_told(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    async with house.backend.database.write(house.ada.tenant) as session:
        row = (await session.execute(select(CardRow))).scalar_one()
        row.card = row.card.replace("Concierge", "Forger")
    state = await Tab(house.ada_cookie, "/admin/agents").state(DiscoveryState)
    async with watching(state):
        await _changes(state, lambda: state.loaded)
    assert (state.lines, state.refused) == ([], 1)


async def test_who_may_not_read_agents_sees_no_card(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    key = await house.backend.identity.create_api_key(house.ada, name="k", scopes=["chat:use"], expires_days=1)
    less = await house.backend.identity.caller_of_key(key.secret)
    with pytest.raises(Forbidden):
        await house.backend.directory.agents(less)
    with pytest.raises(Forbidden):
        await house.backend.directory.agent(less, "agt_1")


@pytest.mark.parametrize(
    ("names", "words"), [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c and 2 more")]
)
def test_long_lists_are_shortened_in_words(names: list[str], words: str) -> None:
    assert some(names) == words
