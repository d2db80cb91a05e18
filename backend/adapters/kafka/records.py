"""Messages to Kafka records and back; where a key belongs."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from aiokafka.partitioner import murmur2  # pyright: ignore[reportUnknownVariableType]
from aiokafka.structs import ConsumerRecord, TopicPartition

from backend.foundation.bus.ports import Delivery, Message, Partition

Record: TypeAlias = ConsumerRecord[bytes, bytes]
Headers: TypeAlias = list[tuple[str, bytes]]

_POSITIVE = 0x7FFFFFFF
_HEADER_NAME = 24


@lru_cache(maxsize=65536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & _POSITIVE


def partition_of(key: bytes, partitions: int) -> int:
    """Return the key's partition as every Kafka client computes it, so that other programs keep our order."""
    return _hash(key) % partitions


def encode_headers(message: Message) -> tuple[Headers, int]:
    """Return the headers as Kafka wants them, and about how many bytes they take."""
    pairs: Headers = []
    size = 0
    for name, value in message.headers.items():
        text = value.encode()
        size += len(text) + _HEADER_NAME
        pairs.append((name, text))
    return pairs, size


def decode(partition: Partition, record: Record) -> Delivery:
    """Return the delivery of a record; what other programs wrote without key, value or text is made readable."""
    try:
        headers = {name: text.decode() for name, text in record.headers}
        key = record.key.decode() if record.key else ""
    except (UnicodeDecodeError, AttributeError):
        headers = {name: _readable(text) for name, text in record.headers}
        key = _readable(record.key)
    message = Message(partition.topic, key, headers, record.value or b"")
    return Delivery(message, partition, str(record.offset), record.timestamp)


def _readable(text: bytes | None) -> str:
    return text.decode("utf-8", "replace") if text else ""


def decode_all(partitions: "Partitions", batches: Iterable[tuple[TopicPartition, Sequence[Record]]]) -> list[Delivery]:
    """Return the deliveries of all batches, in the order of each partition."""
    deliveries: list[Delivery] = []
    for native, records in batches:
        partition = partitions.own(native)
        deliveries += [decode(partition, record) for record in records]
    return deliveries


class Partitions:
    """Our name for a partition and the broker's, both ways.

    Args:
        topics: our topic names by the broker's.
    """

    def __init__(self, topics: dict[str, str]) -> None:
        self._own = topics
        self._native = {own: native for native, own in topics.items()}
        self._known: dict[TopicPartition, Partition] = {}

    def own(self, native: TopicPartition) -> Partition:
        """Return our name for it."""
        partition = self._known.get(native)
        if partition is None:
            partition = self._known[native] = Partition(self._own[native.topic], native.partition)
        return partition

    def native(self, partition: Partition) -> TopicPartition:
        """Return the broker's name for it."""
        return TopicPartition(self._native[partition.topic], partition.number)
