"""Writing: one lane a partition, in which a batch collects while the one before is on its way."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError, UnknownTopicOrPartitionError

from backend.adapters.kafka.clients import Batch, Clients, Producer
from backend.adapters.kafka.failures import FAILURES, translate
from backend.adapters.kafka.link import ProducerLink
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.records import Headers, encode_headers, partition_of
from backend.foundation.bus.ports import Message
from backend.foundation.kernel.errors import NotFound, TooLarge, Unavailable

_LOOKUP_S = 2.0
_RECORD_BYTES = 64
_MANY = 1_000_000


@dataclass(slots=True)
class _Ticket:
    """One call of `publish`: what became of each message."""

    results: list[Exception | None]
    missing: int
    deadline: float
    done: asyncio.Future[None]

    def settle(self, index: int, error: Exception | None) -> None:
        self.results[index] = error
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)


class _Item(NamedTuple):
    ticket: _Ticket
    place: int
    key: bytes
    value: bytes
    headers: Headers
    weight: int


@dataclass(slots=True)
class _Lane:
    topic: str
    partition: int
    items: deque[_Item] = field(default_factory=deque[_Item])
    most: int = _MANY
    task: asyncio.Task[None] | None = None


class Writer:
    """Writes messages in order by key; a call waits for its own messages only.

    Args:
        clients: makes producers.
        options: times and sizes.
        exists: tells whether the broker knows a topic, asked when the producer finds none.
    """

    def __init__(self, clients: Clients, options: KafkaOptions, exists: Callable[[str], Awaitable[bool]]) -> None:
        self._link = ProducerLink(clients, options)
        self._options = options
        self._exists = exists
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._pending = 0
        self._closed = False

    async def open(self) -> None:
        """Connect once; raise what the library does when the broker does not answer."""
        await self._link.open()

    async def close(self) -> None:
        """Send what waits, as long as its callers would wait, and give the connections back."""
        self._closed = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        await self._link.close()

    async def publish(self, topic_of: Callable[[str], str], messages: Sequence[Message]) -> list[Exception | None]:
        """Write; return ``None`` for each message that the broker has, else its error."""
        if not messages:
            return []
        if self._closed:
            raise Unavailable("The bus is closed.")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.publish_s
        ticket = _Ticket([None] * len(messages), len(messages), deadline, loop.create_future())
        counts = {
            topic: await self._count(topic, topic_of(topic), deadline) for topic in {each.topic for each in messages}
        }
        for index, message in enumerate(messages):
            count = counts[message.topic]
            if isinstance(count, Exception):
                ticket.settle(index, count)
            else:
                self._put(ticket, index, message, topic_of(message.topic), count)
        await ticket.done
        return ticket.results

    async def _count(self, topic: str, native: str, deadline: float) -> int | Exception:
        try:
            async with asyncio.timeout_at(deadline):
                producer = await self._link.get()
            async with asyncio.timeout(_LOOKUP_S):
                return len(await producer.partitions_for(native))
        except (Unavailable, *FAILURES) as error:
            return await self._why_no_count(topic, native, error)

    async def _why_no_count(self, topic: str, native: str, error: Exception) -> Exception:
        try:
            if not await self._exists(native):
                return NotFound(f"There is no topic {topic!r}.", hint="Create it before publishing to it.")
        except Unavailable as unavailable:
            return unavailable
        return translate(error, f"publish to {topic!r}")

    def _put(self, ticket: _Ticket, index: int, message: Message, topic: str, partitions: int) -> None:
        key = message.key.encode()
        headers, size = encode_headers(message)
        size += _RECORD_BYTES + len(key) + len(message.value)
        if size > self._options.max_message_bytes:
            most = self._options.max_message_bytes
            ticket.settle(index, TooLarge(f"A message of {size} bytes is above the limit of {most}."))
        elif self._pending + size > self._options.max_pending_bytes:
            ticket.settle(index, Unavailable("Too much waits to be written to Kafka."))
        else:
            self._pending += size
            self._enqueue(topic, partition_of(key, partitions), _Item(ticket, index, key, message.value, headers, size))

    def _enqueue(self, topic: str, partition: int, item: _Item) -> None:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        lane.items.append(item)
        if lane.task is None:
            lane.task = asyncio.create_task(self._drain(lane))

    async def _drain(self, lane: _Lane) -> None:
        while lane.items:
            await self._write(lane)
        lane.task = None

    async def _write(self, lane: _Lane) -> None:
        producer: Producer | None = None
        taken: list[_Item] = []
        failure: Exception | None = None
        try:
            async with asyncio.timeout_at(lane.items[0].ticket.deadline):
                producer = await self._link.get()
                if lane.partition not in await producer.partitions_for(lane.topic):
                    raise UnknownTopicOrPartitionError
                batch, taken = _fill(producer.create_batch(), lane.items, lane.most)
                await (await producer.send_batch(batch, lane.topic, partition=lane.partition))
            lane.most = min(2 * lane.most, _MANY)
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            if producer is not None:
                self._link.renew(producer, drop=False)
            if len(taken) > 1:
                # The topic takes less than our batches hold: which message is too large shows in smaller ones.
                lane.most = len(taken) // 2
                lane.items.extendleft(reversed(taken))
                return
            failure = translate(error, f"publish to {lane.topic!r}")
        except (Unavailable, *FAILURES) as error:
            failure = translate(error, f"publish to {lane.topic!r}")
            if producer is not None and taken:
                # What was not sent in time must not be sent later, after a newer message of the same key.
                self._link.renew(producer, drop=isinstance(error, TimeoutError))
        self._settle(taken or _overdue(lane.items) or [lane.items.popleft()], failure)

    def _settle(self, items: Sequence[_Item], failure: Exception | None) -> None:
        for item in items:
            self._pending -= item.weight
            item.ticket.settle(item.place, failure)


def _fill(batch: Batch, items: deque[_Item], most: int) -> tuple[Batch, list[_Item]]:
    """Move as many items into the batch as it takes, and at most so many: at least one."""
    now_ms = time.time_ns() // 1_000_000
    taken: list[_Item] = []
    while items and len(taken) < most:
        item = items[0]
        if batch.append(timestamp=now_ms, key=item.key, value=item.value, headers=item.headers) is None:
            break
        taken.append(items.popleft())
    batch.close()
    return batch, taken


def _overdue(items: deque[_Item]) -> list[_Item]:
    """Take out the items whose callers have waited as long as they can."""
    now = asyncio.get_running_loop().time()
    overdue: list[_Item] = []
    while items and items[0].ticket.deadline <= now:
        overdue.append(items.popleft())
    return overdue
