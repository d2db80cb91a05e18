"""BUS-10 BUS-1: what Admin shows of the bus, read the same on Kafka and on Valkey by a process that only looks."""

import asyncio
from contextlib import aclosing

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid, NotFound
from backend.foundation.kernel.ids import TenantId
from backend.foundation.live.service import Live
from backend.reads.topics import Topics
from tests.contract.members import DEADLINE_S, Mesh

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
    assert made["aw.agents"] == (3, {"retention.ms": "7200000"})
