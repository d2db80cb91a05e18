"""What only Kafka has: partitions that grow, members that are expelled, TLS and passwords, other clients."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.protocol.group import LeaveGroupRequest

from backend.adapters.kafka.bus import KafkaBus
from backend.adapters.kafka.urls import KafkaSecurity
from backend.foundation.bus.ports import Message
from backend.foundation.kernel.errors import Unavailable
from tests.contract.members import DEADLINE_S, PARTITIONS, join, message, publish, received
from tests.fixtures.kafka import PASSWORD, SHORT, USERNAME, Broker, BusFactory
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract


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


async def test_the_bus_works_over_tls_with_a_password(kafka_broker: Broker, kafka_namespace: str) -> None:
    """BUS-1: SASL and TLS, all of the port's clients."""
    security = KafkaSecurity(username=USERNAME, password=PASSWORD, mechanism="PLAIN", ca_file=kafka_broker.authority)
    bus = KafkaBus(kafka_broker.secure_url, namespace=kafka_namespace, security=security, options=SHORT)
    await bus.start()
    await bus.create_topic("orders", partitions=1)
    async with bus.watch(["orders"]) as watcher:
        await publish(bus, [message("k", "secret")])
        async with asyncio.timeout(DEADLINE_S):
            assert (await anext(watcher)).message.value == b"secret"
    sink = await join(bus)
    await received(sink, 1)
    assert [each.message.value async for each in bus.replay("orders")] == [b"secret"]
    assert (await bus.health()).ok
    await bus.close()


async def test_the_bus_works_with_a_password_in_the_clear(kafka_broker: Broker, kafka_namespace: str) -> None:
    """BUS-1: SASL without TLS, for a broker behind a network of its own."""
    security = KafkaSecurity(username=USERNAME, password=PASSWORD, mechanism="PLAIN")
    bus = KafkaBus(kafka_broker.password_url, namespace=kafka_namespace, security=security, options=SHORT)
    await bus.start()
    await bus.create_topic("orders", partitions=1)
    sink = await join(bus)
    await publish(bus, [message("k", "secret")])
    await received(sink, 1)
    await bus.close()


def _as(**changes: object) -> Callable[[Broker], KafkaSecurity]:
    def security(broker: Broker) -> KafkaSecurity:
        right = KafkaSecurity(username=USERNAME, password=PASSWORD, mechanism="PLAIN", ca_file=broker.authority)
        return replace(right, **changes)

    return security


def _at(url: str, scheme: str) -> Callable[[Broker], str]:
    return lambda broker: f"{scheme}://{getattr(broker, url).partition('://')[2]}"


@pytest.mark.parametrize(
    ("url", "security", "cause", "fix"),
    [
        (_at("secure_url", "kafkas"), _as(password="guessed"), "refuses this user", "BUS_PASSWORD"),
        (_at("password_url", "kafka"), _as(password="guessed"), "refuses this user", "BUS_PASSWORD"),
        (_at("password_url", "kafka"), _as(mechanism="SCRAM-SHA-512"), "SASL mechanism", "BUS_MECHANISM"),
        (_at("password_url", "kafka"), _as(username=""), "hangs up on a client", "BUS_USERNAME"),
        (_at("secure_url", "kafkas"), _as(ca_file=None), "certificate that is not trusted", "BUS_CA_FILE"),
        (_at("secure_url", "kafka"), _as(), "speaks TLS", "kafkas://"),
        (_at("url", "kafkas"), _as(username=""), "ends the TLS handshake", "kafka://"),
        (_at("url", "kafka"), _as(), "takes no user", "BUS_USERNAME"),
    ],
    ids=["wrong password, TLS", "wrong password", "wrong mechanism", "no user", "unknown certificate", "plain to TLS",
         "TLS to plain", "user where none is asked for"],
)  # fmt: skip
async def test_a_refused_client_is_told_why_and_what_to_do(
    kafka_broker: Broker,
    url: Callable[[Broker], str],
    security: Callable[[Broker], KafkaSecurity],
    cause: str,
    fix: str,
) -> None:
    """BUS-1 OPS-1: the cause and the fix of each way to be refused, without the password."""
    bus = KafkaBus(url(kafka_broker), security=security(kafka_broker), options=SHORT)
    with pytest.raises(Unavailable) as refused:
        await bus.start()
    assert cause in refused.value.message
    assert fix in refused.value.hint
    health = await bus.health()
    assert (health.ok, cause in health.cause, fix in health.fix) == (False, True, True)
    said = f"{refused.value.message} {refused.value.hint} {health.detail} {health.cause}"
    assert "guessed" not in said
    assert PASSWORD not in said
    await bus.close()
