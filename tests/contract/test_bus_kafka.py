"""What only Kafka has: partitions that grow, members that are expelled, other clients."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.protocol.group import LeaveGroupRequest

from backend.adapters.kafka.bus import KafkaBus
from backend.foundation.bus.ports import Message
from backend.foundation.kernel.errors import Invalid
from tests.contract.members import DEADLINE_S, PARTITIONS, Collector, join, message, publish, received
from tests.fixtures.kafka import SHORT, Broker, BusFactory
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract


@pytest_asyncio.fixture
async def staying(kafka_broker: Broker, kafka_namespace: str) -> AsyncGenerator[Callable[[], Awaitable[KafkaBus]]]:
    """Makes buses whose members have 8 s to come back."""
    async with AsyncExitStack() as stack:

        async def make() -> KafkaBus:
            options = replace(SHORT, return_s=8.0)
            bus = KafkaBus(kafka_broker.url, namespace=kafka_namespace, options=options)
            stack.push_async_callback(bus.close)
            await bus.start()
            return bus

        yield make


@pytest_asyncio.fixture
async def bus(kafka_bus: BusFactory) -> KafkaBus:
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=PARTITIONS)
    return bus


async def _grow(broker: Broker, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_partitions({topic: NewPartitions(partitions)})
    await admin.close()


async def test_new_partitions_are_read_and_watched_from_their_first_message(
    bus: KafkaBus, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-1: the number of partitions grows while the topic is in use."""
    sink = await join(bus)
    async with bus.watch(["orders"]) as watcher:
        await _grow(kafka_broker, f"{kafka_namespace}orders", PARTITIONS * 2)
        sent = 0

        async def some_in_a_new_partition() -> bool:
            nonlocal sent
            await publish(bus, [message(f"k{sent}", sent)])
            sent += 1
            return any(each.partition.number >= PARTITIONS for each in sink.deliveries)

        await until(some_in_a_new_partition, DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            watched = {(await anext(watcher)).message.value.decode() for _ in range(sent)}
    assert watched == {str(number) for number in range(sent)}
    await until(lambda: set(sink.values()) == watched, DEADLINE_S)


async def test_a_watched_topic_that_does_not_exist_yet_is_seen_from_its_first_message(kafka_bus: BusFactory) -> None:
    """BUS-1."""
    bus = await kafka_bus()
    async with bus.watch(["later"]) as watcher:
        await bus.create_topic("later", partitions=2)
        await publish(bus, [message("k", "first", topic="later")])
        async with asyncio.timeout(DEADLINE_S):
            assert (await anext(watcher)).message.value == b"first"


async def test_a_member_that_is_expelled_is_told_and_joins_again(
    bus: KafkaBus, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-3: it hears `lost` and not `revoked`, since nothing can be committed any more."""
    sink = await join(bus)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await admin.start()
    group = f"{kafka_namespace}aw.test"
    [answer] = await admin.describe_consumer_groups([group])
    member = answer.groups[0][5][0][0]
    coordinator = await admin.find_coordinator(group)
    await admin._send_request(LeaveGroupRequest(group, member), coordinator)
    await admin.close()
    await until(lambda: sink.names() == ["assigned", "lost", "assigned"], DEADLINE_S)
    await publish(bus, [message("k", 1)])
    await received(sink, 1)


async def test_a_reader_outlives_its_topic(bus: KafkaBus) -> None:
    """BUS-1: deleted and made again under the reader."""
    sink = await join(bus)
    await publish(bus, [message("k", "before")])
    await received(sink, 1)
    await bus.delete_topic("orders")
    await bus.create_topic("orders", partitions=PARTITIONS)
    await publish(bus, [message("k", "after")])
    await until(lambda: "after" in sink.values(), DEADLINE_S)


async def test_other_clients_of_kafka_read_and_write_the_same_events(
    bus: KafkaBus, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-2 BUS-3: a key has the same partition for all of them."""
    topic = f"{kafka_namespace}orders"
    producer = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka_broker.bootstrap, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    sink = await join(bus)
    for key in (f"key-{number}" for number in range(20)):
        ours = Message("orders", key, {"ce_id": key}, b"ours")
        await publish(bus, [ours])
        async with asyncio.timeout(DEADLINE_S):
            record = await consumer.getone()
        assert (record.key, record.value, list(record.headers)) == (key.encode(), b"ours", [("ce_id", key.encode())])
        theirs = await producer.send_and_wait(topic, b"theirs", key=key.encode())
        assert theirs.partition == record.partition
        async with asyncio.timeout(DEADLINE_S):
            await consumer.getone()
    await received(sink, 40)
    assert sink.values("key-7") == ["ours", "theirs"]
    await consumer.stop()
    await producer.stop()


def _shared(*sinks: Collector) -> bool:
    return all(sink.owned for sink in sinks) and sum(len(sink.owned) for sink in sinks) == PARTITIONS


async def test_a_member_that_comes_back_by_its_name_has_its_partitions_and_no_other_moves(
    bus: KafkaBus, staying: Callable[[], Awaitable[KafkaBus]]
) -> None:
    """BUS-1 OPS-2: static membership, over the restart of each in turn; what was written meanwhile is read."""
    homes = {name: await staying() for name in ("one", "two")}
    sinks = {name: await join(home, member=name) for name, home in homes.items()}
    await until(lambda: _shared(*sinks.values()), DEADLINE_S)
    before = {member.name: member.partitions for member in await bus.members("aw.test")}
    for name, other in (("one", "two"), ("two", "one")):
        calls = len(sinks[other].calls)
        await homes[name].close()
        await publish(bus, [message(f"k{number}", name) for number in range(20)])
        homes[name] = await staying()
        sinks[name] = await join(homes[name], member=name)
        await until(lambda text=name: sum(sink.values().count(text) for sink in sinks.values()) >= 20, DEADLINE_S)
        assert len(sinks[other].calls) == calls
        assert {member.name: member.partitions for member in await bus.members("aw.test")} == before


async def test_a_member_that_does_not_come_back_is_missed_after_its_time(
    staying: Callable[[], Awaitable[KafkaBus]],
) -> None:
    """BUS-1."""
    home, other = await staying(), await staying()
    await home.create_topic("orders", partitions=PARTITIONS)
    one, two = await join(home, member="one"), await join(other, member="two")
    await until(lambda: _shared(one, two), DEADLINE_S)
    await home.close()
    await until(lambda: len(two.owned) == PARTITIONS, DEADLINE_S + 8)


async def test_two_members_of_one_name_share_instead_of_putting_each_other_out(
    bus: KafkaBus, staying: Callable[[], Awaitable[KafkaBus]]
) -> None:
    """BUS-3: the one that is put out, as one that hung is when it wakes up, goes on without the name."""
    first = await join(await staying(), member="same")
    second = Collector()
    second.reader = await (await staying()).read("aw.test", ["orders"], second, member="same")
    await until(lambda: "lost" in first.names() and _shared(first, second), DEADLINE_S)
    calls = (len(first.calls), len(second.calls))
    await publish(bus, [message(f"k{number}", number) for number in range(40)])
    await until(lambda: len(first.deliveries) + len(second.deliveries) >= 40, DEADLINE_S)
    with pytest.raises(TimeoutError):
        await until(lambda: (len(first.calls), len(second.calls)) != calls, 3)


async def test_a_member_whose_name_kafka_would_refuse_is_told(staying: Callable[[], Awaitable[KafkaBus]]) -> None:
    """BUS-1."""
    home = await staying()
    await home.create_topic("orders", partitions=1)
    for name in ("", "a b", "é", "x" * 250, "a\0b"):
        with pytest.raises(Invalid, match="no name for a member"):
            await home.read("aw.test", ["orders"], Collector(), member=name)


async def test_a_compacted_topic_is_described_as_one_and_read_over_its_gaps(
    bus: KafkaBus, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-1: Kafka's own settings of topics; deletions by key stop neither reading nor replay."""
    settings = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    await bus.create_topic("states", partitions=1, settings=settings)
    described = {topic.name: topic.settings for topic in await bus.topics()}
    assert described["states"] == settings
    await publish(bus, [message("k", number, topic="states") for number in range(5)])
    producer = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap)
    await producer.start()
    await producer.send_and_wait(f"{kafka_namespace}states", None, key=b"gone")
    await producer.stop()
    await publish(bus, [message("k", "last", topic="states")])
    sink = await join(bus, topic="states")
    await until(lambda: "last" in sink.values(), DEADLINE_S)
    assert sink.values("gone") in ([""], [])
    assert [each.message.value async for each in bus.replay("states")][-1] == b"last"
