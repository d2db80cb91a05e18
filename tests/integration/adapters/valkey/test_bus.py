"""What only the Valkey bus has: leases, trimming, the server's policy, and a server that forgets everything."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
import pytest_asyncio

from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.leases import Change, Leases
from backend.adapters.valkey.server import Line, Reply, Server
from backend.adapters.valkey.topics import Topics
from backend.foundation.bus.ports import Delivery, Message, Partition
from backend.foundation.kernel.errors import Fenced, Unavailable
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


class Sink:
    """Keeps what it is given; ``fails`` times it raises instead."""

    def __init__(self) -> None:
        self.owned: set[Partition] = set()
        self.deliveries: list[Delivery] = []
        self.lost_once: set[Partition] = set()
        self.fails = 0

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        self.owned |= set(partitions)

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        self.owned -= set(partitions)

    async def lost(self, partitions: Sequence[Partition]) -> None:
        self.owned -= set(partitions)
        self.lost_once |= set(partitions)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        if self.fails:
            self.fails -= 1
            raise ValueError("a fault in the sink")
        self.deliveries += deliveries

    def values(self) -> list[bytes]:
        return [delivery.message.value for delivery in self.deliveries]


def messages(first: int, count: int, key: str = "k") -> list[Message]:
    return [Message("orders", key, {"ce_id": str(n)}, str(n).encode()) for n in range(first, first + count)]


@pytest_asyncio.fixture
async def server(valkey_url: str, valkey_namespace: str) -> AsyncGenerator[Server]:
    """The name space of the test's bus, to look into."""
    server = Server(valkey_url, namespace=f"{valkey_namespace}:bus")
    yield server
    await server.close()


@pytest_asyncio.fixture
async def bus(valkey_url: str, valkey_namespace: str) -> AsyncGenerator[ValkeyBus]:
    bus = ValkeyBus(valkey_url, namespace=valkey_namespace, lease_ms=500)
    await bus.start()
    yield bus
    await bus.close()


@pytest_asyncio.fixture
async def line(server: Server) -> AsyncGenerator[Line]:
    line = Line(server)
    yield line
    await line.close()


def leases_of(server: Server, line: Line, member: str, ttl_ms: int = 60_000) -> Leases:
    topics = Topics(server)
    return Leases(server, line, topics, group="g", member=member, names=["orders"], ttl_ms=ttl_ms)


@pytest.mark.parametrize(("partitions", "members"), [(8, 3), (8, 8), (3, 5), (1, 2), (8, 1)])
async def test_partitions_are_shared_fairly_and_settle(
    bus: ValkeyBus, server: Server, line: Line, partitions: int, members: int
) -> None:
    """BUS-1 BUS-3: nobody has two more than another, everything is owned, and then nothing moves any more."""
    await bus.create_topic("orders", partitions=partitions)
    everybody = [leases_of(server, line, f"m{number}") for number in range(members)]
    owned: list[set[Partition]] = [set() for _ in everybody]
    for _ in range(3):
        for leases, mine in zip(everybody, owned, strict=True):
            change = await leases.balance()
            mine.difference_update(change.give)
            await leases.release(change.give)
            mine.update(change.taken)
    assert sorted(partition for mine in owned for partition in mine) == [
        Partition("orders", n) for n in range(partitions)
    ]
    assert max(map(len, owned)) - min(map(len, owned)) <= 1
    assert not any([bool(await leases.balance()) for leases in everybody])


async def test_a_silent_members_partitions_go_to_others_after_its_lease(
    bus: ValkeyBus, server: Server, line: Line
) -> None:
    """BUS-3: and it cannot move a cursor any more."""
    await bus.create_topic("orders", partitions=2)
    silent = leases_of(server, line, "silent", ttl_ms=300)
    assert len((await silent.balance()).taken) == 2
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="heir")
    await until(lambda: len(sink.owned) == 2)
    with pytest.raises(Fenced, match=r"orders\[0\]"):
        await silent.commit({Partition("orders", 0): "1-1"})
    assert len((await silent.balance()).lost) == 2


async def test_a_member_that_cannot_renew_counts_everything_as_lost(private_valkey: PrivateValkey) -> None:
    """BUS-3: another may own it by then."""
    bus = ValkeyBus(private_valkey.url, lease_ms=300)
    await bus.start()
    await bus.create_topic("orders", partitions=2)
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="one")
    await until(lambda: len(sink.owned) == 2)
    private_valkey.kill()
    await until(lambda: not sink.owned)
    await asyncio.to_thread(private_valkey.start)
    await until(lambda: len(sink.owned) == 2)
    await bus.publish(messages(0, 1))
    await until(lambda: sink.values() == [b"0"])
    await bus.close()


async def test_a_partition_that_could_not_be_given_back_is_taken_again(private_valkey: PrivateValkey) -> None:
    """BUS-3: the server died just when it should have been told."""
    bus = ValkeyBus(private_valkey.url, lease_ms=10_000)
    await bus.start()
    await bus.create_topic("orders", partitions=1)
    sink = Sink()
    reader = await bus.read("g", ["orders"], sink, member="one")
    await until(lambda: len(sink.owned) == 1)
    private_valkey.kill()
    reader._changes.append(Change(give=[Partition("orders", 0)]))  # pyright: ignore[reportPrivateUsage]
    await until(lambda: not sink.owned)
    await asyncio.to_thread(private_valkey.start)
    await bus.publish(messages(0, 1))
    await until(lambda: sink.values() == [b"0"], 15)
    await bus.close()


async def test_only_what_every_group_has_done_is_trimmed(bus: ValkeyBus, server: Server) -> None:
    """BUS-1."""
    settings = {"retention.messages": "10"}
    await bus.create_topic("orders", partitions=1, settings=settings)
    quick, slow = Sink(), Sink()
    first = await bus.read("quick", ["orders"], quick, member="one")
    second = await bus.read("slow", ["orders"], slow, member="one")
    await bus.publish(messages(0, 100))
    await until(lambda: len(quick.deliveries) == len(slow.deliveries) == 100)
    await first.commit({Partition("orders", 0): quick.deliveries[-1].offset})
    await second.commit({Partition("orders", 0): slow.deliveries[29].offset})
    topics = Topics(server)
    assert await topics.trim() == 30
    assert [delivery.message.value async for delivery in bus.replay("orders", limit=1)] == [b"30"]
    await second.commit({Partition("orders", 0): slow.deliveries[-1].offset})
    assert await topics.trim() == 60
    assert await topics.trim() == 0
    assert await bus.lag("slow") == {"orders": 0}
    assert (await bus.topics())[0].end == 100


async def test_what_is_past_its_time_is_trimmed(bus: ValkeyBus, server: Server) -> None:
    """BUS-1: also of a topic that nobody reads."""
    await bus.create_topic("orders", partitions=2, settings={"retention.ms": "1"})
    await bus.create_topic("kept", partitions=1)
    await bus.publish([*messages(0, 5), Message("kept", "k", {}, b"x")])
    topics = Topics(server)
    await until(lambda: _trims(topics, 5))
    assert [delivery async for delivery in bus.replay("orders")] == []
    assert len([delivery async for delivery in bus.replay("kept")]) == 1
    await bus.publish(messages(5, 1))
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="one")
    await until(lambda: sink.values() == [b"5"])


async def _trims(topics: Topics, count: int) -> bool:
    return await topics.trim() == count


async def test_a_group_that_was_given_up_holds_nothing_back(bus: ValkeyBus, server: Server) -> None:
    """BUS-1: a consumer that was renamed would fill the memory for ever."""
    await bus.create_topic("orders", partitions=1, settings={"retention.ms": "600", "retention.messages": "10"})
    gone, here = Sink(), Sink()
    leaving = await bus.read("gone", ["orders"], gone, member="one")
    reader = await bus.read("here", ["orders"], here, member="one")
    await bus.publish(messages(0, 100))
    await until(lambda: len(here.deliveries) == 100)
    await reader.commit({Partition("orders", 0): here.deliveries[-1].offset})
    topics = Topics(server)
    assert await topics.trim() == 0
    await leaving.stop()
    deleted = 0

    async def all_trimmed() -> bool:
        nonlocal deleted
        deleted += await topics.trim()
        return deleted == 100

    await until(all_trimmed)
    assert await bus.lag("gone") == {"orders": 100}


async def test_a_server_that_may_evict_is_told_of(private_valkey: PrivateValkey) -> None:
    """BUS-1."""
    bus = ValkeyBus(private_valkey.url)
    await bus.start()
    assert (await bus.health()).ok
    await _configure(private_valkey, "maxmemory-policy", "allkeys-lru")
    health = await bus.health()
    assert not health.ok
    assert "allkeys-lru" in health.cause
    assert "noeviction" in health.fix
    await bus.close()


async def test_a_server_without_memory_takes_nothing_and_says_so(private_valkey: PrivateValkey) -> None:
    """BUS-1: all of a batch or nothing, so that no event overtakes another of its key."""
    bus = ValkeyBus(private_valkey.url)
    await bus.start()
    await bus.create_topic("orders", partitions=1)
    await _configure(private_valkey, "maxmemory", "1mb")
    outcomes = await bus.publish(messages(0, 3))
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert "memory" in str(outcomes[0])
    assert not (await bus.health()).ok
    await _configure(private_valkey, "maxmemory", "0")
    assert await bus.publish(messages(3, 1)) == [None]
    assert [delivery.message.value async for delivery in bus.replay("orders")] == [b"3"]
    await bus.close()


async def _configure(valkey: PrivateValkey, name: str, value: str) -> Reply:
    server = Server(valkey.url, namespace="x")
    try:
        return await server.call("CONFIG", "SET", name, value)
    finally:
        await server.close()


async def test_a_server_that_came_back_empty_gets_its_topics_again(private_valkey: PrivateValkey) -> None:
    """BUS-1: writers and readers go on by themselves."""
    bus = ValkeyBus(private_valkey.url, lease_ms=500)
    await bus.start()
    await bus.create_topic("orders", partitions=2)
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="one")
    await bus.publish(messages(0, 2))
    await until(lambda: len(sink.deliveries) == 2)
    server = Server(private_valkey.url, namespace="x")
    await server.call("FLUSHALL")
    assert await bus.publish(messages(2, 2)) == [None, None]
    await until(lambda: sink.values()[2:4] == [b"2", b"3"])
    await until(lambda: bool(sink.lost_once) and len(sink.owned) == 2)
    await server.close()
    await bus.close()


async def test_an_entry_that_nobody_of_ours_wrote_is_delivered_as_one_without_attributes(
    bus: ValkeyBus, server: Server
) -> None:
    """BUS-4: it ends as a dead letter."""
    await bus.create_topic("orders", partitions=1)
    await server.call("XADD", server.key("t", "orders", 0), "1-1", "foreign", "thing")
    await server.call("XADD", server.key("t", "orders", 0), "1-2", "k", "k", "h", "[]", "v", "x")
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="one")
    await bus.publish(messages(0, 1))
    await until(lambda: len(sink.deliveries) == 3)
    assert [delivery.message.value for delivery in sink.deliveries] == [b"foreign thing", b"k k h [] v x", b"0"]
    assert not any(name.startswith("ce_") for name in sink.deliveries[0].message.headers)


async def test_a_fault_in_the_sink_does_not_end_the_reader(bus: ValkeyBus) -> None:
    """BUS-3: it begins again from the cursor."""
    await bus.create_topic("orders", partitions=1)
    sink = Sink()
    sink.fails = 1
    await bus.publish(messages(0, 3))
    await bus.read("g", ["orders"], sink, member="one")
    await until(lambda: sink.values() == [b"0", b"1", b"2"])
    assert sink.lost_once


async def test_a_topic_that_is_made_later_is_read(bus: ValkeyBus) -> None:
    """BUS-1: a consumer may start before the topic's maker."""
    sink = Sink()
    await bus.read("g", ["orders"], sink, member="one")
    await bus.create_topic("orders", partitions=2)
    await bus.publish(messages(0, 1))
    await until(lambda: sink.values() == [b"0"])
