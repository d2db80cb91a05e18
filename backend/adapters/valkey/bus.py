"""`ValkeyBus`: the event log on Valkey Streams, for one machine."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import structlog

from backend.adapters.valkey.follower import Entry, Follower, Mailbox, Tail, entries_of, position
from backend.adapters.valkey.health import health_of
from backend.adapters.valkey.leases import Leases
from backend.adapters.valkey.listener import Listener
from backend.adapters.valkey.messages import delivery_of
from backend.adapters.valkey.publisher import Publisher
from backend.adapters.valkey.reader import ValkeyReader
from backend.adapters.valkey.server import Line, Server
from backend.adapters.valkey.topics import Topics, count_of, pairs
from backend.foundation.bus.ports import (
    BusHealth,
    Delivery,
    MemberInfo,
    Message,
    Partition,
    PartitionInfo,
    Sink,
    TopicInfo,
)
from backend.foundation.kernel.errors import Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

_LEASE_MS = 6_000
_OFFSET = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)
_SHOWN = 40
_WATCH_LIMIT = 2_000
_HOUSEKEEPING_S = 10.0


@dataclass(eq=False)
class _Watching:
    """Somebody who watches topics: what was seen, and the end of each partition."""

    topics: tuple[str, ...]
    seen: Mailbox[Delivery]
    tails: dict[Partition, Tail] = field(default_factory=dict[Partition, Tail])


class ValkeyBus:
    """The `Bus` on Valkey or Redis: partitions are streams, ownership is leases, positions are cursors.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://path``.
        namespace: the first part of each key and channel.
        lease_ms: after how long without a sign of life a member's partitions go to others.
    """

    def __init__(self, url: str, *, namespace: str = "aw", lease_ms: int = _LEASE_MS) -> None:
        self._server = Server(url, namespace=f"{namespace}:bus")
        self._line = Line(self._server)
        self._topics = Topics(self._server)
        self._follower = Follower(self._server, limit=_WATCH_LIMIT)
        self._listener = Listener(self._server)
        self._publisher = Publisher(self._server, self._topics)
        self._lease_ms = lease_ms
        self._readers: list[ValkeyReader] = []
        self._watching: list[_Watching] = []
        self._housekeeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._server.ping()
        if self._housekeeper is None:
            self._housekeeper = asyncio.create_task(self._keep_house())

    async def close(self) -> None:
        await asyncio.gather(*(reader.stop() for reader in self._readers))
        if self._housekeeper is not None:
            self._housekeeper.cancel()
            await asyncio.wait([self._housekeeper])
        await self._publisher.close()
        await self._follower.close()
        await self._listener.close()
        await self._line.close()
        await self._server.close()

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        return await self._publisher.publish(messages)

    async def read(self, group: str, topics: Sequence[str], sink: Sink, *, member: str) -> ValkeyReader:
        leases = Leases(
            self._server, self._line, self._topics, group=group, member=member, names=topics, ttl_ms=self._lease_ms
        )
        reader = ValkeyReader(
            self._server,
            self._line,
            self._topics,
            leases=leases,
            sink=sink,
            listener=self._listener,
            interval_s=self._lease_ms / 3000,
        )
        await reader.start()
        self._readers.append(reader)
        return reader

    @asynccontextmanager
    async def watch(self, topics: Sequence[str]) -> AsyncGenerator[AsyncIterator[Delivery]]:
        watching = _Watching(tuple(topics), Mailbox(_WATCH_LIMIT))
        try:
            for partition in [Partition(t, n) for t in topics for n in range(await self._partitions(t))]:
                await self._watch(partition, watching, "$")
            self._watching.append(watching)
            yield watching.seen
        finally:
            if watching in self._watching:
                self._watching.remove(watching)
            for tail in watching.tails.values():
                self._follower.detach(tail)

    async def replay(
        self,
        topic: str,
        *,
        partition: int | None = None,
        from_offset: str | None = None,
        from_time_ms: int | None = None,
        limit: int = 1000,
    ) -> AsyncGenerator[Delivery]:
        start = _start_of(from_offset) if from_offset else str(from_time_ms or 0)
        stored: list[Delivery] = []
        numbers = range(await self._partitions(topic))
        for number in numbers if partition is None else [partition] if partition in numbers else []:
            key = self._topics.stream(topic, number)
            entries = entries_of(await self._server.call("XRANGE", key, start, "+", "COUNT", limit))
            stored += [delivery_of(Partition(topic, number), entry) for entry in entries]
        stored.sort(key=lambda delivery: position(delivery.offset))
        for delivery in stored[:limit]:
            yield delivery

    async def partitions(self, topic: str) -> list[PartitionInfo]:
        return [await self._partition(topic, number) for number in range(await self._partitions(topic))]

    async def create_topic(self, name: str, *, partitions: int, settings: Mapping[str, str] | None = None) -> None:
        await self._topics.create(name, partitions, settings or {})

    async def alter_topic(
        self, name: str, *, settings: Mapping[str, str] | None = None, partitions: int | None = None
    ) -> None:
        """See `Bus.alter_topic`; other processes take note of new partitions with their next housekeeping."""
        await self._topics.alter(name, settings or {}, partitions)
        await self._look_at_new_partitions()

    async def delete_topic(self, name: str) -> None:
        await self._topics.delete(name)

    async def topics(self) -> list[TopicInfo]:
        return await self._topics.describe()

    async def lag(self, group: str) -> dict[str, int]:
        lags: dict[str, int] = {}
        for topic in await self._topics.describe():
            if await self._server.call("ZSCORE", self._server.key("groups", topic.name), group) is None:
                continue
            state = dict(pairs(await self._server.call("HGETALL", self._server.key("g", group, topic.name))))
            counts = await self._topics.counts(topic.name)
            lags[topic.name] = sum(
                max(0, count - count_of(state.get(f"c{number}".encode(), b"0-0").decode()))
                for number, count in counts.items()
            )
        return lags

    async def members(self, group: str) -> list[MemberInfo]:
        return await self._topics.members(group)

    async def delete_group(self, group: str) -> None:
        await self._topics.delete_group(group)

    async def health(self) -> BusHealth:
        return await health_of(self._server)

    async def _partitions(self, topic: str) -> int:
        count = await self._topics.partitions(topic)
        if not count:
            raise NotFound(f"There is no topic {topic!r}.")
        return count

    async def _partition(self, topic: str, number: int) -> PartitionInfo:
        key = self._topics.stream(topic, number)
        first = entries_of(await self._server.call("XRANGE", key, "-", "+", "COUNT", 1))
        last = entries_of(await self._server.call("XREVRANGE", key, "+", "-", "COUNT", 1))
        held = cast("int", await self._server.call("XLEN", key))
        return PartitionInfo(
            number=number, first=first[0].id if first else "", last=last[0].id if last else "", held=held
        )

    async def _watch(self, partition: Partition, watching: "_Watching", after: str) -> None:
        def put(entry: Entry) -> None:
            watching.seen.put(delivery_of(partition, entry))

        watching.tails[partition] = await self._follower.attach(self._topics.stream(*partition), after, put)

    async def _look_at_new_partitions(self) -> None:
        """Take note of partitions that another process added: writers, readers and who watches, from the first on."""
        self._topics.forget()
        for watching in list(self._watching):
            for partition in [
                Partition(t, n) for t in watching.topics for n in range(await self._topics.partitions(t))
            ]:
                if partition not in watching.tails and watching in self._watching:
                    await self._watch(partition, watching, "0-0")
                    if watching not in self._watching:
                        self._follower.detach(watching.tails[partition])

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            try:
                if await self._topics.restore():
                    log.warning("bus.topics_restored")
                await self._look_at_new_partitions()
                held = self._server.key("housekeeping")
                if await self._server.call("SET", held, "1", "NX", "PX", int(_HOUSEKEEPING_S * 900)):
                    await self._topics.trim()
            except Unavailable as error:
                log.warning("bus.housekeeping_failed", error=str(error))


def _start_of(offset: str) -> str:
    """Return an offset as the server takes it."""
    found = _OFFSET.fullmatch(offset)
    if found is None or any(int(number or 0) >= 2**64 for number in found.groups()):
        hint = "Use the offset of a message, such as 1767225600000-1."
        raise Invalid(f"{offset[:_SHOWN]!r} is no offset of this bus.", hint=hint)
    return offset
