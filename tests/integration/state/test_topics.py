"""Topics and their events in admin tabs over real rooms and a real bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from backend.adapters.valkey.bus import ValkeyBus
from backend.app import use
from backend.foundation.bus.ports import Message
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import STRUCTURED
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unauthenticated
from backend.reads.health import Health
from backend.reads.topics import Topics
from state.admin.consumers import ConsumersState, ranges
from state.admin.partitions import PartitionsState
from state.admin.topic import TopicState
from state.admin.topics import TopicsState
from tests.fixtures.door import Installation
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until
from tests.integration.state.conftest import Tab
from tests.integration.state.test_session import target

pytestmark = pytest.mark.integration

TOPIC = "/admin/topics/aw.agents"


def event(owner: Caller, text: str, key: str = "k") -> Event:
    data = StartRun(agent="concierge", input=text)
    return Event(type="agents.start_run.v1", tenant=owner.tenant, key=key, source="/test", data=data)


async def opened(house: Installation, address: str) -> TopicState:
    """Return what a tab shows once it has read the topic."""
    state = await Tab(house.ada_cookie, address).state(TopicState)
    async with watching(state):
        await until(lambda: state.phase != "loading")
    return state


def payloads(state: TopicState) -> list[str]:
    return [line.payload for line in state.lines]


@asynccontextmanager
async def watching(state: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(type(state).watch.fn(state))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_topic_of_the_catalogue_is_listed_with_how_fast_it_grows(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-10 BUS-1."""
    monkeypatch.setattr("state.admin.topics.EVERY_S", 0.05)
    house = sqlite_installation
    state = await Tab(house.ada_cookie, "/admin/topics").state(TopicsState)
    async with watching(state):
        await until(lambda: state.loaded)
    by_name = {line["name"]: line for line in state.lines}
    rooms = ("agents", "chat", "flows", "webhooks")
    own = {"aw.agents", "aw.cards", "aw.chat", "aw.runs", "aw.spec"}
    assert set(by_name) == own | {f"aw.dead.{room}" for room in rooms}
    assert by_name["aw.dead.webhooks"]["consumers"] == "none"
    assert by_name["aw.dead.chat"]["consumers"] == "webhooks"
    assert by_name["aw.agents"]["consumers"] == "agents"
    assert by_name["aw.agents"]["types"] == "agents.start_run.v1"
    assert (by_name["aw.agents"]["written"], by_name["aw.agents"]["rate"]) == ("0", "")
    async with watching(state):
        await until(lambda: state.lines[0]["rate"] == "0.0 / s")
        await house.backend.bus.emit(*[event(house.ada, str(number)) for number in range(40)])
        await until(lambda: state.lines[0]["written"] == "40")


async def test_a_topic_shows_events_of_the_own_tenant_alone_the_newest_first(
    sqlite_installation: Installation,
) -> None:
    """BUS-10 IDN-2."""
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "first"))
    await house.backend.bus.emit(event(house.bob, "Bob's"))
    await house.backend.bus.emit(event(house.ada, "second"))
    state = await opened(house, TOPIC)
    assert state.phase == "ready"
    assert [("second" in text, "first" in text) for text in payloads(state)] == [(True, False), (False, True)]
    assert state.lines[0].type == "agents.start_run.v1"
    assert state.lines[0].key == "k"


async def test_a_structured_event_belongs_to_the_tenant_inside_it_whatever_its_headers_say(
    sqlite_installation: Installation,
) -> None:
    """IDN-2."""
    house = sqlite_installation
    value = (
        b'{"specversion": "1.0", "id": "e1", "source": "/t", "type": "agents.start_run.v1", "tenantid": "%s",'
        b' "data": {"agent": "a", "input": "Bob\'s"}}' % house.bob.tenant.encode()
    )
    headers = {"content-type": STRUCTURED, "ce_tenantid": house.ada.tenant}
    await house.backend.bus._bus.publish([Message("aw.agents", "k", headers, value)])  # pyright: ignore[reportPrivateUsage]
    assert payloads(await opened(house, TOPIC)) == []


async def test_events_are_filtered_by_the_address(sqlite_installation: Installation) -> None:
    """BUS-10."""
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "Apples", "one"), event(house.ada, "pears", "two"))
    for query, count in {
        "": 2,
        "?text=APPLES": 1,
        "?text=two": 1,
        "?text=nothing": 0,
        "?since=all": 2,
        "?since=made-up": 2,
        "?type=agents.start_run.v1": 2,
        "?type=made-up": 0,
    }.items():
        assert len((await opened(house, TOPIC + query)).lines) == count, query
    state = await opened(house, TOPIC)
    assert target(state.choose("since", "1d")) == f"{TOPIC}?since=1d"
    assert target(state.choose("text", "a b")) == f"{TOPIC}?text=a+b"
    state.choose("text", "")
    assert target(state.choose("type", "")) == TOPIC


async def test_events_are_asked_for_from_a_time_of_ones_own(sqlite_installation: Installation) -> None:
    """BUS-10."""
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "Apples"))
    for since, span, count in (
        ("2020-01-31T12:00", "at", 1),
        ("2099-01-31T12:00", "at", 0),
        ("at", "at", 1),
        ("0001-01-01", "at", 1),
        ("9999-99-99", "", 1),
        ("%00" * 100, "", 1),
    ):
        state = await opened(house, f"{TOPIC}?since={since}")
        assert (len(state.lines), state.span) == (count, span), since


async def test_a_partition_is_browsed_by_the_address(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-10."""
    monkeypatch.setattr("backend.reads.topics._MOST", 2)
    house = sqlite_installation
    await house.backend.bus.emit(*[event(house.ada, f"number {number}", f"k{number}") for number in range(3)])
    listed = await Tab(house.ada_cookie, TOPIC).state(PartitionsState)
    async with watching(listed):
        await until(lambda: bool(listed.lines))
    [line] = listed.lines
    assert (line["number"], line["held"], listed.numbers) == ("0", "3", ["0"])
    state = await opened(house, f"{TOPIC}?partition=0&offset={line['first']}")
    assert [one.key for one in state.lines] == ["k0", "k1"]
    more = target(state.choose("offset", state.position["following"]))
    assert [one.key for one in (await opened(house, more)).lines] == ["k2"]
    assert [one.key for one in (await opened(house, f"{TOPIC}?partition=0")).lines] == ["k2", "k1"]
    assert (await opened(house, f"{TOPIC}?partition=7")).lines == []
    assert target(state.choose("partition", "")) == TOPIC
    assert target(state.choose("since", "1d")) == f"{TOPIC}?since=1d&partition=0"


async def test_from_an_offset_on_nothing_comes_by_itself(sqlite_installation: Installation) -> None:
    """BUS-10: what is browsed stays still."""
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "first"))
    view = await house.backend.topics.events(house.ada, "aw.agents")
    offset = view.events[0].place.split()[-1]
    browsing = await opened(house, f"{TOPIC}?partition=0&offset={offset}")
    live = await opened(house, TOPIC)
    async with watching(browsing), watching(live):

        async def came() -> bool:
            await house.backend.bus.emit(event(house.ada, "late"))
            return len(live.lines) > 3

        await until(came)
        assert "first" in payloads(browsing)[0]
        # It may have begun anew after some of them, but adds none.
        shown = len(browsing.lines)
        await house.backend.bus.emit(event(house.ada, "later still"))
        await until(lambda: "later still" in payloads(live)[0])
        assert len(browsing.lines) == shown


@pytest.mark.parametrize("offset", ["abc", "-1", "9" * 4_000, "%00", "1-2-3"])
async def test_what_is_no_offset_is_told_with_what_is_one(sqlite_installation: Installation, offset: str) -> None:
    state = await opened(sqlite_installation, f"{TOPIC}?partition=0&offset={offset}")
    assert "is no offset of this bus" in state.problem["what"]
    assert state.problem["next"]
    assert state.lines == []


@pytest.mark.parametrize("partition", ["x", "-1", "9" * 400, "%D9%A1"])
async def test_what_is_no_partition_is_passed_over(sqlite_installation: Installation, partition: str) -> None:
    await sqlite_installation.backend.bus.emit(event(sqlite_installation.ada, "one"))
    assert len((await opened(sqlite_installation, f"{TOPIC}?partition={partition}&offset=5")).lines) == 1


async def test_events_come_by_themselves_each_once(sqlite_installation: Installation) -> None:
    """BUS-10 BUS-1: what does not fit the filter, or is another tenant's, does not come."""
    house = sqlite_installation
    await house.backend.bus.emit(event(house.ada, "early apples"))
    state = await opened(house, f"{TOPIC}?text=apples")
    async with watching(state):

        async def came() -> bool:
            await house.backend.bus.emit(event(house.bob, "Bob's apples"), event(house.ada, "pears"))
            await house.backend.bus.emit(event(house.ada, "late apples"))
            return "late apples" in "".join(payloads(state)) and bool(state.fresh)

        await until(came)
    assert "Bob" not in "".join(payloads(state))
    assert "pears" not in "".join(payloads(state))
    places = [line.place for line in state.lines]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("topic", ["aw.nothing", "x", "aw.agents%2F"])
async def test_what_is_no_topic_is_just_not_there(sqlite_installation: Installation, topic: str) -> None:
    """IDN-2: topics that are not the product's own are not read."""
    assert (await opened(sqlite_installation, f"/admin/topics/{topic}")).phase == "missing"


async def test_a_page_says_that_the_bus_is_away_and_goes_on_when_it_is_back(
    sqlite_installation: Installation, private_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-10 BUS-1: what was seen before stays, and what came meanwhile is there at the end."""
    monkeypatch.setattr("state.admin.topics.EVERY_S", 0.05)
    monkeypatch.setattr("state.admin.topic.RETRY_S", 0.05)
    house = sqlite_installation
    async with apart(house, private_valkey) as bus:
        tab = Tab(house.ada_cookie, TOPIC)
        listed, one = await tab.state(TopicsState), await tab.state(TopicState)
        await bus.emit(event(house.ada, "before"))
        async with watching(listed), watching(one):
            await until(lambda: bool(listed.loaded and one.lines))
            private_valkey.kill()
            await until(lambda: bool(listed.problem["what"]), 20)
            assert "Health" in listed.problem["next"] or "Start" in listed.problem["next"]
            assert listed.lines
            assert one.lines
            private_valkey.start()
            await bus.emit(event(house.ada, "meanwhile"))
            await until(lambda: not listed.problem["what"] and "meanwhile" in "".join(payloads(one)), 20)
            assert not one.problem["what"]


async def test_a_page_that_is_opened_while_the_bus_is_away_says_so(
    sqlite_installation: Installation, private_valkey: PrivateValkey
) -> None:
    """BUS-10."""
    house = sqlite_installation
    async with apart(house, private_valkey):
        private_valkey.kill()
        for kind in (TopicsState, TopicState):
            state = await Tab(house.ada_cookie, TOPIC).state(kind)
            async with watching(state):
                await until(lambda state=state: bool(state.problem["what"] and state.problem["next"]), 20)


@asynccontextmanager
async def apart(house: Installation, server: PrivateValkey) -> AsyncIterator[BusService]:
    """Let the pages read a bus on a server of its own, which may be killed."""
    adapter = ValkeyBus(server.url, namespace="apart")
    bus = BusService(adapter, house.backend.database, house.backend.live, partitions=1)
    await bus.start()
    use(replace(house.backend, bus=bus, topics=Topics(bus)))
    try:
        yield bus
    finally:
        use(house.backend)
        await bus.close()
        await adapter.close()


async def test_a_topic_shows_who_reads_it_for_each_consumer(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-10 BUS-1: process, host and partitions; and that there is none."""
    monkeypatch.setattr("state.admin.consumers.EVERY_S", 0.05)
    house = sqlite_installation
    await house.backend.bus.subscribe("agents", {"agents.start_run.v1": _nothing})
    state = await Tab(house.ada_cookie, TOPIC).state(ConsumersState)
    watch = asyncio.create_task(ConsumersState.watch_consumers.fn(state))
    try:
        await until(lambda: bool(state.lines and state.lines[0]["partitions"] not in ("", "none")), 10)
        [line] = state.lines
        assert (line["consumer"], line["waiting"], line["behind"]) == ("agents", "0", False)
        assert line["member"]
        assert line["host"]
        assert line["partitions"].startswith("0")
        await house.backend.bus.emit(*(event(house.ada, "slow") for _ in range(3)))
        await until(lambda: state.lines[0]["behind"], 10)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_a_topic_that_is_none_has_no_consumers(sqlite_installation: Installation) -> None:
    """BUS-10: and the page does not wait for them."""
    state = await Tab(sqlite_installation.ada_cookie, "/admin/topics/aw.nothing").state(ConsumersState)
    await ConsumersState.watch_consumers.fn(state)
    assert (state.loaded, state.lines) == (True, [])


@pytest.mark.parametrize(
    ("numbers", "words"), [((), ""), ((4,), "4"), ((0, 1, 2, 3), "0-3"), ((0, 2, 3, 7, 8, 10), "0, 2-3, 7-8, 10")]
)
def test_partitions_that_are_neighbours_are_told_together(numbers: tuple[int, ...], words: str) -> None:
    """BUS-10."""
    assert ranges(numbers) == words


async def _nothing(_session: Any, _event: Event) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("kind", [TopicsState, TopicState])
async def test_no_topic_is_shown_without_a_session(sqlite_installation: Installation, kind: type) -> None:
    """IDN-2."""
    state = await Tab("", TOPIC).state(kind)
    with pytest.raises(Unauthenticated):
        await kind.watch.fn(state)


async def test_what_is_not_as_the_settings_want_it_is_shown_with_the_command_that_changes_it(
    sqlite_installation: Installation, private_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-1: in the list of topics and on the health page."""
    monkeypatch.setattr("state.admin.topics.EVERY_S", 0.05)
    house = sqlite_installation
    async with apart(house, private_valkey) as bus:
        state = await Tab(house.ada_cookie, "/admin/topics").state(TopicsState)
        async with watching(state):
            await until(lambda: state.loaded)
        assert state.differences == []
        kept = {line["name"]: line["kept"] for line in state.lines}
        assert kept.pop("aw.cards") == "8 days, the last of each key"
        assert set(kept.values()) == {"7 days"}
        adapter = ValkeyBus(private_valkey.url, namespace="apart")
        await adapter.alter_topic("aw.chat", settings={"cleanup.policy": "compact"})
        await adapter.close()
        async with watching(state):
            await until(lambda: bool(state.differences))
        [found] = state.differences
        assert (found["words"], found["topics"]) == ("cleanup.policy is compact, wanted is delete", "aw.chat")
        assert found["command"] == "autoweave bus apply"
        assert {line["name"]: line["kept"] for line in state.lines}["aw.chat"] == "the last of each key"
        health = Health(
            house.backend.database, house.backend.live, bus, house.backend.models, house.backend.tools,
            house.backend.telemetry,
        )  # fmt: skip
        [part] = [part for part in await health.parts(house.ada) if part.name == "bus"]
        assert (part.status, part.cause.endswith(f"aw.chat: {found['words']}."), "bus apply" in part.fix) == (
            "attention",
            True,
            True,
        )
        assert [one.problem for one in await bus.apply()] == [""]
        [part] = [part for part in await health.parts(house.ada) if part.name == "bus"]
        assert part.status == "ok"
