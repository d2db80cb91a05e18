"""What other programs, and broken disks, leave in a topic: nothing of it stops a partition or costs another message."""

import random
import struct
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from backend.adapters.kafka.bus import KafkaBus
from backend.adapters.kafka.unreadable import UNREADABLE
from backend.foundation.bus.ports import Message
from backend.foundation.kernel.errors import TooLarge
from tests.contract.members import DEADLINE_S, by_key, join, message, publish, received
from tests.fixtures.kafka import Broker, BusFactory, restarted
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract

CRC_AT, CRC_FROM = 17, 21
"""Where a batch has its checksum, and from where on it counts."""
ATTRIBUTES_AT = 21


async def test_messages_that_the_topic_does_not_take_cost_no_other(kafka_bus: BusFactory) -> None:
    """BUS-1: the topic's limit is far below ours, and below what we put into one batch."""
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=1, settings={"max.message.bytes": "20000"})
    large = {7: 30_000, 30: 21_000, 59: 900_000}
    sent = [Message("orders", "k", {"n": str(n)}, random.randbytes(large.get(n, 900))) for n in range(60)]
    outcomes = await bus.publish(sent)
    assert {n for n, outcome in enumerate(outcomes) if isinstance(outcome, TooLarge)} == large.keys()
    assert {n for n, outcome in enumerate(outcomes) if outcome is not None} == large.keys()
    sink = await join(bus)
    await received(sink, 57)
    kept = [int(each.message.headers["n"]) for each in sink.deliveries]
    assert kept == [n for n in range(60) if n not in large]


async def test_messages_larger_than_ours_are_read(
    kafka_bus: BusFactory, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-1: another program may write more than we do, where the topic takes it."""
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=1, settings={"max.message.bytes": "5000000"})
    await publish(bus, [message("k", "before")])
    other = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap, max_request_size=6_000_000)
    await other.start()
    await other.send_and_wait(f"{kafka_namespace}orders", b"x" * 4_000_000, key=b"k")
    await other.stop()
    await publish(bus, [message("k", "after")])
    sink = await join(bus)
    await received(sink, 3)
    assert [len(value) for value in sink.values("k")] == [6, 4_000_000, 5]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_each_compression_is_read(
    kafka_bus: BusFactory, kafka_broker: Broker, kafka_namespace: str, compression: str
) -> None:
    """BUS-1."""
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=1)
    other = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap, compression_type=compression)
    await other.start()
    await other.send_and_wait(f"{kafka_namespace}orders", b"x" * 1000, key=b"k")
    await other.stop()
    sink = await join(bus)
    await received(sink, 1)
    assert sink.values("k") == ["x" * 1000]


async def test_messages_without_key_value_or_text_are_read(
    kafka_bus: BusFactory, kafka_broker: Broker, kafka_namespace: str
) -> None:
    """BUS-1: tombstones among them."""
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=1)
    other = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap)
    await other.start()
    topic = f"{kafka_namespace}orders"
    await other.send_and_wait(topic, None, key=b"gone")
    await other.send_and_wait(topic, b"", key=None)
    await other.send_and_wait(topic, b"\xff", key=b"\xff\x00", headers=[("h", b"\xfe"), ("h", b"2"), ("", b"")])
    await other.stop()
    await publish(bus, [message("k", "after")])
    sink = await join(bus)
    await received(sink, 4)
    assert [each.message.key for each in sink.deliveries] == ["gone", "", "\ufffd\0", "k"]
    assert [each.message.value for each in sink.deliveries] == [b"", b"", b"\xff", b"after"]


def _batches(log: bytes) -> list[bytearray]:
    found: list[bytearray] = []
    while log:
        size = 12 + struct.unpack_from(">i", log, 8)[0]
        found.append(bytearray(log[:size]))
        log = log[size:]
    return found


def _signed(batch: bytearray) -> bytearray:
    batch[CRC_AT:CRC_FROM] = struct.pack(">I", calc_crc32c(bytes(batch[CRC_FROM:])))
    return batch


def _spoil(log: Path) -> None:
    """Break the second batch, give the fourth an unknown compression, and the sixth a header whose name is no text."""
    batches = _batches(log.read_bytes())
    batches[1][-3] ^= 0xFF
    batches[3][ATTRIBUTES_AT + 1] |= 0x07
    _signed(batches[3])
    at = batches[5].index(b"ce_id")
    batches[5][at : at + 5] = b"\xff\xfe\xff\xfe\xff"
    _signed(batches[5])
    log.write_bytes(b"".join(batches))


@pytest.mark.crash
@pytest.mark.timeout(180)
async def test_what_nobody_can_read_becomes_a_message_that_says_so(
    hurt_broker: Broker, kafka_bus: BusFactory, kafka_namespace: str
) -> None:
    """BUS-3 BUS-4: a broken disk, a compression of the future, bytes that no decoder takes; the partition goes on."""
    bus = await kafka_bus()
    # Uncompressed, so that the bytes are where they are looked for.
    await bus.create_topic("orders", partitions=1, settings={"compression.type": "uncompressed"})
    for number in range(7):
        await publish(bus, [message("k", number)])
    hurt_broker.stop()
    _spoil(Path(hurt_broker.data) / "log" / f"{kafka_namespace}orders-0" / f"{0:020}.log")
    await restarted(hurt_broker)
    fresh = await kafka_bus()
    sink = await join(fresh)
    await received(sink, 7)
    assert by_key(sink.deliveries)["k"] == ["0", "2", "4", "6"]
    unread = [each for each in sink.deliveries if UNREADABLE in each.message.headers]
    assert [each.offset for each in unread] == ["1", "3", "5"]
    assert [each.message.headers[UNREADABLE].partition(": ")[2] for each in unread] == [
        "CorruptRecordException",
        "UnsupportedCodecError",
        "UnicodeDecodeError",
    ]
    assert sink.reader is not None
    await sink.reader.commit(sink.last())
    assert await fresh.lag("aw.test") == {"orders": 0}
    assert len([each async for each in fresh.replay("orders")]) == 7
    await until(lambda: _goes_on(fresh), DEADLINE_S)
    await received(sink, 8)


async def _goes_on(bus: KafkaBus) -> bool:
    return await bus.publish([message("k", "more")]) == [None]
