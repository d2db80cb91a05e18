"""BUS-10 BUS-1: what Admin shows of the bus, read the same on Kafka and on Valkey by a process that only looks."""

import asyncio
from contextlib import aclosing

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.service import BusService
from backend.foundation.bus.views import TopicDifference
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid, NotFound
from backend.foundation.kernel.ids import TenantId
from backend.foundation.live.service import Live
from backend.reads.topics import Topics
from tests.contract.members import DEADLINE_S, Mesh
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract

LOOKING = Caller(
    tenant=TenantId("ten_1"),
    subject="usr_1",
    permissions=frozenset({Permission.HEALTH_READ, Permission.BUS_READ}),
)


def asked(number: int, *, tenant: str = "ten_1") -> Event:
    data = StartRun(agent="a", input=f"number {number}")
    return Event(type="agents.start_run.v1", tenant=TenantId(tenant), key=f"k{number}", source="/test", data=data)


async def test_topics_and_their_events_are_seen_by_a_process_that_only_looks(
    mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive
) -> None:
    def service(bus: Bus) -> BusService:
        return BusService(bus, sqlite_database, Live(live_store), partitions=2)

    worker, topics = service(await mesh.make()), Topics(service(await mesh.make(started=False)))
    await worker.start()
    await worker.emit(*(asked(number) for number in range(6)), asked(7, tenant="ten_2"))
    view = next(topic for topic in await topics.all(LOOKING) if topic.name == "aw.agents")
    assert (view.partitions, view.written, [consumer.name for consumer in view.consumers]) == (2, 7, ["agents"])
    stored = await topics.events(LOOKING, "aw.agents")
    assert sorted(event.key for event in stored.events) == [f"k{number}" for number in range(6)]
    assert not stored.partial
    assert [event.time_ms for event in stored.events] == sorted(
        (event.time_ms for event in stored.events), reverse=True
    )
    assert [(each.name, each.lag, each.members) for each in await topics.consumers(LOOKING, "aw.agents")] == [
        ("agents", 0, ())
    ]
    later = await topics.events(LOOKING, "aw.agents", since_ms=stored.events[0].time_ms + 1)
    assert later.events == ()
    [found] = (await topics.events(LOOKING, "aw.agents", text="NUMBER 3")).events
    assert found.key == "k3"


async def test_a_partition_is_browsed_from_an_offset_page_by_page(
    mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.reads.topics._MOST", 3)
    worker = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=1)
    topics = Topics(BusService(await mesh.make(started=False), sqlite_database, Live(live_store)))
    await worker.start()
    await worker.emit(*(asked(number) for number in range(4)), asked(9, tenant="ten_2"), asked(5))
    [partition] = await topics.partitions(LOOKING, "aw.agents")
    assert (partition.number, partition.held) == (0, 6)
    first = await topics.events(LOOKING, "aw.agents", partition=0, offset=partition.first)
    assert ([event.key for event in first.events], first.partial) == (["k0", "k1", "k2"], True)
    rest = await topics.events(LOOKING, "aw.agents", partition=0, offset=first.following)
    assert ([event.key for event in rest.events], rest.following) == (["k3", "k5"], "")
    last = await topics.events(LOOKING, "aw.agents", partition=0, offset=partition.last)
    assert [event.key for event in last.events] == ["k5"]
    assert (await topics.events(LOOKING, "aw.agents", partition=1)).events == ()
    with pytest.raises(Invalid):
        await topics.events(LOOKING, "aw.agents", partition=0, offset="nowhere")
    with pytest.raises(NotFound):
        await topics.partitions(LOOKING, "aw.nothing")


async def test_events_are_seen_as_they_come(mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive) -> None:
    worker = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=2)
    topics = Topics(BusService(await mesh.make(started=False), sqlite_database, Live(live_store)))
    await worker.start()
    stop = asyncio.Event()

    async def tell() -> None:
        while not stop.is_set():
            await worker.emit(asked(1), asked(2, tenant="ten_2"))
            await asyncio.wait([asyncio.ensure_future(stop.wait())], timeout=0.1)

    telling = asyncio.create_task(tell())
    try:
        async with asyncio.timeout(DEADLINE_S), aclosing(topics.follow(LOOKING, "aw.agents")) as followed:
            came = [event for batch in [await anext(followed), await anext(followed)] for event in batch.events]
    finally:
        stop.set()
        await telling
    assert {event.key for event in came} == {"k1"}


async def test_topics_are_made_as_the_settings_say(
    mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive
) -> None:
    """BUS-1: those that are there already stay as they are."""
    service = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=3, retention_ms=7_200_000)
    await service.start()
    later = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=5)
    await later.start()
    made = {topic.name: (topic.partitions, topic.settings) for topic in await later.topics()}
    assert made["aw.agents"] == (3, {"cleanup.policy": "delete", "retention.ms": "7200000"})


async def test_a_start_changes_no_topic_and_a_command_makes_them_as_the_settings_say(
    mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive
) -> None:
    """BUS-1 BUS-7: cards keep the last of each key, longer than one may be believed."""

    async def service(*, partitions: int, retention_ms: int = 0) -> BusService:
        made = BusService(
            await mesh.make(), sqlite_database, Live(live_store), partitions=partitions, retention_ms=retention_ms
        )
        await made.start()
        return made

    async def facts(name: str) -> tuple[int, int, set[str]]:
        [topic] = [topic for topic in await later.topics() if topic.name == name]
        return topic.partitions, topic.retention_ms, set(topic.cleanup.split(","))

    bare = await mesh.make()
    await bare.create_topic("aw.cards", partitions=1)
    await service(partitions=2, retention_ms=7_200_000)
    later = await service(partitions=3, retention_ms=3_600_000)
    assert await facts("aw.agents") == (2, 7_200_000, {"delete"})
    assert await facts("aw.cards") == (1, 604_800_000, {"delete"})
    found = [each for each in await later.differences() if each.topic == "aw.agents"]
    assert found == [
        TopicDifference(topic="aw.agents", setting="retention.ms", has="7200000", wanted="3600000"),
        TopicDifference(topic="aw.agents", setting="partitions", has="2", wanted="3"),
    ]
    changes = await later.apply()
    assert {one.difference.setting for one in changes if one.problem} == {"partitions"}

    async def settled() -> bool:
        return {each.setting for each in await later.differences()} == {"partitions"}

    # A broker answers before every other one has heard of it.
    await until(settled, DEADLINE_S)
    assert await facts("aw.agents") == (2, 3_600_000, {"delete"})
    assert await facts("aw.cards") == (1, 691_200_000, {"compact", "delete"})
    raised = await later.apply(partitions=True)
    assert {(one.difference.setting, one.problem) for one in raised} == {("partitions", "")}
    assert len(raised) == len(await later.topics())
    assert await later.differences() == await later.apply(partitions=True) == []
    # Fewer partitions, and no retention, wish for nothing.
    assert await (await service(partitions=1)).differences() == []


async def test_partitions_are_not_raised_while_an_event_waits(
    mesh: Mesh, sqlite_database: SqlDatabase, live_store: ValkeyLive
) -> None:
    """BUS-1 BUS-3: it could be overtaken by a later one of its key."""
    worker = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=1)
    await worker.start()
    started = asyncio.Event()
    goes_on = asyncio.Event()

    async def handle(_event: Event) -> None:
        started.set()
        await goes_on.wait()

    await worker.subscribe_slow("agents", {"agents.start_run.v1": handle})
    await worker.emit(asked(1))
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
    later = BusService(await mesh.make(), sqlite_database, Live(live_store), partitions=2)
    [left] = [one for one in await later.apply(partitions=True) if one.problem]
    assert (left.difference.topic, left.difference.setting) == ("aw.agents", "partitions")
    assert left.problem.startswith("1 of its events wait.")
    goes_on.set()

    async def raised() -> bool:
        return not [one for one in await later.apply(partitions=True) if one.problem]

    await until(raised, DEADLINE_S)
    assert {topic.partitions for topic in await later.topics()} == {2}
    await worker.close()
