"""Three brokers, of which one that leads partitions dies: nothing is lost, and each key stays in order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from backend.adapters.kafka.bus import KafkaBus
from tests.contract.members import PARTITIONS, by_key, join, message, without_repeats
from tests.fixtures.kafka import JAVA_OPTIONS, SHORT, Broker, kafka_server, restarted
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.whole, pytest.mark.timeout(400)]

NODES = 3
BACK_S = 90.0
_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "group.min.session.timeout.ms": "1000",
}


@pytest_asyncio.fixture
async def cluster(tmp_path: Path, without_broker: None) -> AsyncGenerator[list[Broker]]:
    """Three servers that are brokers and controllers at once."""
    ports = [kafka_server.free_port() for _ in range(NODES)]
    brokers: list[Broker] = [
        kafka_server.KafkaServer(
            tmp_path / str(node),
            controller_port=ports[node - 1],
            settings=_REPLICATED,
            java_options=JAVA_OPTIONS,
            heap="256m",
            voters=[f"127.0.0.1:{port}" for port in ports],
            node=node,
            cluster="Athreebrokersofthetest",
        )
        for node in range(1, NODES + 1)
    ]
    async with AsyncExitStack() as stack:
        for broker in brokers:
            stack.push_async_callback(asyncio.to_thread, broker.kill)
            broker.launch()
        await asyncio.gather(*(asyncio.to_thread(broker.wait_ready) for broker in brokers))
        yield brokers


async def _leader(broker: Broker) -> int:
    """Return the number of the broker that leads the first partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    [topic] = await admin.describe_topics(["orders"])
    await admin.close()
    return topic["partitions"][0]["leader"]


async def test_what_was_acknowledged_survives_the_leader_and_stays_in_order(cluster: list[Broker]) -> None:
    """BUS-1 BUS-3: twice, each time the leader of the moment."""
    url = "kafka://" + ",".join(broker.bootstrap for broker in cluster)
    bus, reading = (KafkaBus(url, options=replace(SHORT, publish_s=10.0)) for _ in range(2))
    await until(lambda: _made(bus), BACK_S)
    await reading.start()
    sink = await join(reading)
    acknowledged: dict[str, list[str]] = defaultdict(list)
    writing = True

    async def write(key: str) -> None:
        number = 0
        while writing:
            # An outbox does the same: what was not acknowledged is sent again before anything later of its key.
            if await bus.publish([message(key, number)]) == [None]:
                acknowledged[key].append(str(number))
                number += 1

    def written() -> int:
        return sum(map(len, acknowledged.values()))

    writers = [asyncio.create_task(write(f"k{number}")) for number in range(8)]
    for _ in range(2):
        enough = written() + 200
        await until(lambda more=enough: written() > more, BACK_S)
        leader = await _leader(next(broker for broker in cluster if broker.pid is not None))
        cluster[leader - 1].kill()
        enough = written() + 200
        await until(lambda more=enough: written() > more, BACK_S)
        assert (await bus.health()).ok
        await restarted(cluster[leader - 1])
    writing = False
    await asyncio.gather(*writers)
    await until(lambda: {(e.message.key, e.message.value) for e in sink.deliveries} >= _all(acknowledged), BACK_S)
    for key, values in by_key(sink.deliveries).items():
        assert without_repeats(values)[: len(acknowledged[key])] == acknowledged[key]
    await reading.close()
    await bus.close()


def _all(values: dict[str, list[str]]) -> set[tuple[str, bytes]]:
    return {(key, value.encode()) for key, each in values.items() for value in each}


async def _made(bus: KafkaBus) -> bool:
    """Make the topic, once all three are there: before, the controller refuses three replicas."""
    try:
        await bus.start()
        await bus.create_topic("orders", partitions=PARTITIONS)
    except Exception:  # noqa: BLE001 - whatever it says while it starts
        return False
    return True
