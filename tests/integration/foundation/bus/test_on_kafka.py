"""The same room on Apache Kafka: what the adapters have in common is enough for it."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.foundation.bus import rules
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import encode
from tests.fixtures.kafka import Broker, BusFactory
from tests.fixtures.waiting import until
from tests.integration.foundation.bus.conftest import ServiceFactory
from tests.integration.foundation.bus.events import START, Seen, publish, start_run

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.01, longest_s=0.01))


async def test_events_are_handled_once_in_order_while_members_come_and_go(
    services: ServiceFactory, kafka_bus: BusFactory, database: SqlDatabase
) -> None:
    """BUS-1 BUS-3 BUS-5."""
    first: BusService = await services(broker=await kafka_bus())
    second: BusService = await services(broker=await kafka_bus())
    seen = Seen()
    seen.failures = {50: 2}
    await first.subscribe("starter", {START: seen})
    relay = asyncio.create_task(first.run_relay())
    for number in range(100):
        await publish(first, database, start_run(number, key=f"k{number % 7}"))
    await until(lambda: seen.count >= 30, 30)
    await second.subscribe("starter", {START: seen})
    for number in range(100, 200):
        await publish(first, database, start_run(number, key=f"k{number % 7}"))
    await until(lambda: seen.count >= 150, 30)
    relay.cancel()
    await asyncio.wait([relay])
    await first.close()
    relay = asyncio.create_task(second.run_relay())
    await until(lambda: seen.count >= 200, 30)
    relay.cancel()
    await asyncio.wait([relay])
    assert seen.inputs == {f"k{key}": list(range(key, 200, 7)) for key in range(7)}


async def test_what_other_programs_write_stops_no_partition(
    services: ServiceFactory, kafka_bus: BusFactory, kafka_broker: Broker, kafka_namespace: str, database: SqlDatabase
) -> None:
    """BUS-2 BUS-3 BUS-4: tombstones, no events, unknown types and newer versions among ours, with the same key."""
    service: BusService = await services(broker=await kafka_bus())
    seen = Seen()
    await service.subscribe("starter", {START: seen})
    topic, _, headers, value = encode(start_run(0))
    poison: list[tuple[bytes | None, dict[str, str]]] = [
        (None, {}),
        (None, headers),
        (b"", {}),
        (b"\xff\x00", {"content-type": "application/x-unknown"}),
        (b'{"specversion": "1.0"', {"content-type": "application/cloudevents+json"}),
        (value, headers | {"ce_type": "agents.never_heard_of.v1"}),
        (value, headers | {"ce_type": START.replace(".v1", ".v2")}),
        (value, headers | {"ce_type": ""}),
        (value, headers | {"ce_specversion": "9.9"}),
        (value, headers | {"ce_tenantid": ""}),
        (b"[" * 100_000, headers),
        (b'{"agent": 1}', headers),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap)
    await producer.start()
    for body, given in poison:
        pairs = [(name, text.encode()) for name, text in given.items()]
        await producer.send_and_wait(f"{kafka_namespace}{topic}", body, key=b"k", headers=pairs)
        await service.emit(start_run(seen.count + 1))
        await until(lambda before=seen.count: seen.count > before, 30)
    await producer.stop()
    assert seen.inputs == {"k": list(range(1, len(poison) + 1))}

    async def done() -> bool:
        return (await service.lag("starter"))["starter"][topic] == 0

    await until(done, 30)


async def test_a_topic_that_was_deleted_is_made_again_with_what_was_not_done(
    services: ServiceFactory, kafka_bus: BusFactory, database: SqlDatabase
) -> None:
    """BUS-1 BUS-5: deleted under its consumers."""
    brokers = [await kafka_bus() for _ in range(2)]
    await lose_a_topic(brokers[0], *[await services(broker=broker) for broker in brokers], database)


async def test_so_it_is_on_valkey(
    services: ServiceFactory, valkey_url: str, valkey_namespace: str, database: SqlDatabase
) -> None:
    """BUS-1 BUS-5."""
    broker = ValkeyBus(valkey_url, namespace=valkey_namespace)
    await lose_a_topic(broker, await services(), await services(broker=broker), database)


async def lose_a_topic(broker: Bus, service: BusService, other: BusService, database: SqlDatabase) -> None:
    """The outbox still has what the broker has not; consumers pass over what they have done."""
    seen, late = Seen(), Seen()
    await service.subscribe("starter", {START: seen})
    relay = asyncio.create_task(service.run_relay())
    await publish(service, database, *(start_run(number, key=f"k{number % 3}") for number in range(30)))
    await until(lambda: seen.count == 30, 30)
    await broker.delete_topic(encode(start_run(0)).topic)
    await publish(service, database, *(start_run(number, key=f"k{number % 3}") for number in range(30, 60)))
    await until(lambda: seen.count >= 60, 60)
    await other.subscribe("late", {START: late})
    await until(lambda: late.count >= 60, 30)
    relay.cancel()
    await asyncio.wait([relay])
    expected = {f"k{key}": list(range(key, 60, 3)) for key in range(3)}
    assert seen.inputs == expected
    assert late.inputs == expected
