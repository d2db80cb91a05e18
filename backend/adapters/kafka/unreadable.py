"""What a broker stores and nobody can read: a broken batch, an unknown compression, a header that is no text.

The library raises at such a batch, and again at each try, so that its partition, and with it the whole reader, would
stand still for ever. Here the batch becomes one message without data that says what it stands for: consumers put it
among the dead letters, and go on behind it.
"""

import time
from collections.abc import Generator
from typing import Any, Protocol, cast

import structlog
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import ConsumerRecord, TopicPartition

_log = structlog.get_logger(__name__)

UNREADABLE = "kafka_unreadable"
"""The header that says why; others are not there."""
_MOST_RECORDS = 1_000_000
_CREATED_HERE = 0


class _Batch(Protocol):
    base_offset: int
    next_offset: int


class _Batches(Protocol):
    """`aiokafka.record.memory_records.MemoryRecords`."""

    def has_next(self) -> bool: ...
    def next_batch(self) -> _Batch | None: ...


class _Alone:
    """One batch as if it were all."""

    def __init__(self, batch: _Batch) -> None:
        self._batch: _Batch | None = batch

    def has_next(self) -> bool:
        return self._batch is not None

    def next_batch(self) -> _Batch | None:
        batch, self._batch = self._batch, None
        return batch


class Tolerant(PartitionRecords):
    """The library's reading of what was fetched of a partition, which goes on behind what cannot be read."""

    def _unpack_records(self) -> Generator[Any]:
        batches = cast(_Batches, self._records)
        batch = batches.next_batch() if batches.has_next() else None
        while batch is not None:
            following = batches.next_batch() if batches.has_next() else None
            self._records = _Alone(batch)
            try:
                yield from super()._unpack_records()
            except Exception as error:  # noqa: BLE001 - whatever bytes can bring a decoder to raise
                begins, self.next_fetch_offset = self.next_fetch_offset, self._behind(batch, following)
                yield self._left_out(begins, error)
            batch = following

    def _behind(self, batch: _Batch, following: _Batch | None) -> int:
        """Return where to go on: the broken batch's own word is the last that is believed."""
        told = following.base_offset if following is not None else batch.next_offset
        return told if 0 < told - self.next_fetch_offset < _MOST_RECORDS else self.next_fetch_offset + 1

    def _left_out(self, begins: int, error: Exception) -> Any:
        at = cast(TopicPartition, self._tp)
        last = self.next_fetch_offset - 1
        reason = f"offsets {begins} to {last}: {type(error).__name__}"
        _log.error("bus.unreadable", topic=at.topic, partition=at.partition, reason=reason)
        return ConsumerRecord[None, None](
            topic=at.topic,
            partition=at.partition,
            offset=last,
            timestamp=time.time_ns() // 1_000_000,
            timestamp_type=_CREATED_HERE,
            key=None,
            value=None,
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=-1,
            headers=((UNREADABLE, reason.encode()), ("content-type", b"application/octet-stream")),
        )


def tolerate() -> None:
    """Let the library read so, in all its consumers; doing so again is fine."""
    # It makes its readings in the middle of a method, with nothing to give it another kind by.
    fetcher.PartitionRecords = Tolerant
