"""Broadcast: one consumer a process follows what all its watchers want, without a group."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from aiokafka.structs import TopicPartition

from backend.adapters.kafka.clients import Clients, Consumer
from backend.adapters.kafka.ending import end_consumer
from backend.adapters.kafka.failures import FAILURES
from backend.adapters.kafka.held import Held
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.records import Record, decode
from backend.adapters.kafka.topics import Topics
from backend.foundation.bus.ports import Delivery, Partition
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Unavailable

_log = structlog.get_logger(__name__)
_POLL_MS = 100


class Watcher(AsyncIterator[Delivery]):
    """What one watcher has still to see; the oldest falls out when it is too slow.

    Args:
        topics: our topic names by the broker's.
        starts: where each partition that existed at the beginning stood then; others are seen from their first message.
        backlog: how many deliveries are kept.
    """

    def __init__(self, topics: Mapping[str, str], starts: Mapping[TopicPartition, int], backlog: int) -> None:
        self.topics = topics
        self._starts = dict(starts)
        self._waiting: deque[Delivery] = deque(maxlen=backlog)
        self._ready = asyncio.Event()
        self._closed = False
        self._lost = 0

    def offer(self, at: TopicPartition, offset: int, delivery: Delivery) -> None:
        """Take a delivery, unless it is older than the watcher."""
        if offset < self._starts.get(at, 0):
            return
        # Only the first message can be older: a topic that was deleted and made again starts from 0.
        self._starts.pop(at, None)
        if len(self._waiting) == self._waiting.maxlen:
            self._lost += 1
            if self._lost == 1:
                _log.warning("bus.watcher_slow", topics=list(self.topics.values()))
        self._waiting.append(delivery)
        self._ready.set()

    def close(self) -> None:
        """End the iteration once the waiting deliveries are taken."""
        self._closed = True
        self._ready.set()

    async def __anext__(self) -> Delivery:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()


class Watches:
    """All watchers of this process.

    Args:
        clients: makes consumers.
        topics: tells which partitions there are and where they end.
        options: times and sizes.
    """

    def __init__(self, clients: Clients, topics: Topics, options: KafkaOptions) -> None:
        self._topics = topics
        self._options = options
        self._consumer: Held[Consumer] = Held(clients.observer, end_consumer)
        self._watchers: set[Watcher] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, topics: Mapping[str, str]) -> AsyncGenerator[Watcher]:
        """See every message that is written to the topics (our names by the broker's) from now on."""
        partitions = _of(topics, await self._topics.all())
        starts = await self._topics.ends(partitions) if partitions else {}
        watcher = Watcher(topics, starts, self._options.watch_backlog)
        for at, start in starts.items():
            self._positions.setdefault(at, start)
        self._watchers.add(watcher)
        self._wanted.set()
        self._task = self._task or asyncio.create_task(self._run(), name="kafka-watch")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                await self._rest()

    async def close(self) -> None:
        """End all watchers."""
        for watcher in self._watchers:
            watcher.close()
        await self._rest()

    async def _rest(self) -> None:
        task, self._task = self._task, None
        self._positions.clear()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            await self._consumer.forget()

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._follow(backoff)
            except (Unavailable, *FAILURES) as error:
                _log.warning("bus.watch_lost", error=repr(error))
            except Exception:  # noqa: BLE001 - the loop of all watchers: it must not end
                _log.exception("bus.watch_failed")
            await self._consumer.forget()
            await backoff.wait()

    async def _follow(self, backoff: Backoff) -> None:
        async with asyncio.timeout(self._options.start_s):
            consumer = await self._consumer.get()
        loop = asyncio.get_running_loop()
        look = 0.0
        while True:
            if self._wanted.is_set() or loop.time() >= look:
                self._wanted.clear()
                look = loop.time() + self._options.discover_s
                await self._assign(consumer)
            if consumer.assignment():
                self._fan_out(await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._options.max_records))
                backoff.reset()
                await asyncio.sleep(0)
            else:
                await self._until(look)

    async def _until(self, time: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(time):
                await self._wanted.wait()

    async def _assign(self, consumer: Consumer) -> None:
        """Follow what the watchers want now; a partition that is new begins at its first message."""
        topics = {native: own for watcher in self._watchers for native, own in watcher.topics.items()}
        wanted = _of(topics, await self._topics.all())
        if wanted == consumer.assignment():
            return
        consumer.assign(sorted(wanted))
        for at in wanted:
            consumer.seek(at, self._positions.setdefault(at, 0))

    def _fan_out(self, batches: Mapping[TopicPartition, Sequence[Record]]) -> None:
        for at, records in batches.items():
            watchers = [watcher for watcher in self._watchers if at.topic in watcher.topics]
            for record in records:
                self._positions[at] = record.offset + 1
                for watcher in watchers:
                    own = watcher.topics[at.topic]
                    watcher.offer(at, record.offset, decode(Partition(own, at.partition), record))


def _of(topics: Mapping[str, str], counts: Mapping[str, int]) -> frozenset[TopicPartition]:
    """Return the partitions of those topics that exist."""
    return frozenset(TopicPartition(name, number) for name in topics for number in range(counts.get(name, 0)))
