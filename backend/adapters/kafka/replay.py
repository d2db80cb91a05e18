"""Reading again what is stored, without moving any group."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from aiokafka.structs import TopicPartition

from backend.adapters.kafka.clients import Clients, Consumer
from backend.adapters.kafka.ending import end_consumer, start_whole
from backend.adapters.kafka.failures import answered
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.records import Record, decode
from backend.adapters.kafka.topics import Topics
from backend.foundation.bus.ports import Delivery, Partition
from backend.foundation.kernel.errors import Invalid

_POLL_MS = 200
_LONGEST_OFFSET = 19


class Replays:
    """Reads topics again.

    Args:
        clients: makes consumers.
        topics: tells where partitions begin and end.
        options: times and sizes.
    """

    def __init__(self, clients: Clients, topics: Topics, options: KafkaOptions) -> None:
        self._clients = clients
        self._topics = topics
        self._options = options

    async def replay(
        self,
        native: str,
        own: str,
        *,
        partition: int | None,
        from_offset: str | None,
        from_time_ms: int | None,
        limit: int,
    ) -> AsyncGenerator[Delivery]:
        """Yield what each partition holds from the offset or time on, up to its end as of now; ordered by partition."""
        partitions = [at for at in await self._topics.partitions(native) if partition in (None, at.partition)]
        if not partitions:
            return
        ends = await self._topics.ends(partitions)
        starts = await self._starts(partitions, from_offset, from_time_ms)
        open_ends = {at: ends[at] for at, start in starts.items() if start < ends[at]}
        left = limit
        async for at, record in self._records(starts, open_ends):
            if left <= 0:
                return
            left -= 1
            yield decode(Partition(own, at.partition), record)

    async def _starts(
        self, partitions: Sequence[TopicPartition], offset: str | None, time_ms: int | None
    ) -> Mapping[TopicPartition, int]:
        if time_ms is not None:
            return await self._topics.at_time(partitions, time_ms)
        beginnings = await self._topics.beginnings(partitions)
        if offset is None:
            return beginnings
        if not offset.isdecimal() or len(offset) > _LONGEST_OFFSET:
            raise Invalid(
                f"{offset[:_LONGEST_OFFSET]!r} is no offset of Kafka.", hint="Offsets are whole numbers from 0."
            )
        return {at: max(int(offset), beginning) for at, beginning in beginnings.items()}

    async def _records(
        self, starts: Mapping[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> AsyncGenerator[tuple[TopicPartition, Record]]:
        if not ends:
            return
        consumer = self._clients.observer()
        try:
            async with answered("replay", self._options.start_s):
                await start_whole(consumer)
            consumer.assign(list(ends))
            for at in ends:
                consumer.seek(at, starts[at])
            while ends:
                for at, records in (await self._next(consumer, ends)).items():
                    for record in records:
                        if record.offset < ends.get(at, 0):
                            yield at, record
                    if await consumer.position(at) >= ends.get(at, 0):
                        ends.pop(at, None)
        finally:
            await end_consumer(consumer)

    async def _next(
        self, consumer: Consumer, ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return the next records of any partition, or none of those whose position reached the end without one."""
        async with answered("replay", self._options.answer_s):
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._options.max_records)
                if batches:
                    return batches
                # Compaction can leave nothing below an end: the position moves there without a record.
                passed = {at: () for at, end in ends.items() if await consumer.position(at) >= end}
                if passed:
                    return passed
