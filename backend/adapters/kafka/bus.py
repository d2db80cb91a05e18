"""The bus on Apache Kafka 3.7 or newer."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from aiokafka.structs import TopicPartition

from backend.adapters.kafka.clients import Clients
from backend.adapters.kafka.failures import FAILURES, translate
from backend.adapters.kafka.health import diagnose
from backend.adapters.kafka.names import Names, is_legal
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.reader import KafkaReader
from backend.adapters.kafka.records import Partitions
from backend.adapters.kafka.replay import Replays
from backend.adapters.kafka.topics import Topics
from backend.adapters.kafka.urls import KafkaSecurity, parse_url
from backend.adapters.kafka.watch import Watches
from backend.adapters.kafka.writer import Writer
from backend.foundation.bus.ports import (
    BusHealth,
    Delivery,
    MemberInfo,
    Message,
    Partition,
    PartitionInfo,
    Reader,
    Sink,
    TopicInfo,
)
from backend.foundation.kernel.errors import AutoWeaveError, Invalid, NotFound, Unavailable

_HEALTH_S = 2.0
_DIAGNOSE_S = 1.0
_DIAGNOSE_START_S = 3.0
_NOT_OF_KAFKA = "retention.messages"
# The broker's time, not the sender's: Kafka refuses what a machine sends whose clock is more than an hour ahead, and
# would delete too early what one sends whose clock is behind.
_BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}


class KafkaBus:
    """Implements `Bus`. It connects when first used, and again, for ever, after a failure.

    Args:
        url: ``kafka://host:port,…``, or ``kafkas://…`` for TLS.
        namespace: goes before every topic and group, so that several installations share a broker.
        security: credentials and certificates.
        options: times and sizes.
        client: what the broker's logs call this process.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "",
        security: KafkaSecurity | None = None,
        options: KafkaOptions | None = None,
        client: str = "autoweave",
    ) -> None:
        self._target = parse_url(url)
        self._names = Names(namespace)
        self._options = options or KafkaOptions()
        self._clients = Clients(self._target, security or KafkaSecurity(), self._options, client)
        self._topics = Topics(self._clients, self._options)
        self._writer = Writer(self._clients, self._options, self._exists)
        self._watches = Watches(self._clients, self._topics, self._options)
        self._replays = Replays(self._clients, self._topics, self._options)
        self._readers: set[KafkaReader] = set()

    async def start(self) -> None:
        """See `Bus.start`."""
        try:
            await self._writer.open()
        except FAILURES as error:
            cause, fix = await diagnose(self._clients, _DIAGNOSE_START_S)
            raise Unavailable(f"Kafka cannot be reached: {cause}", hint=fix) from error

    async def close(self) -> None:
        """See `Bus.close`."""
        await asyncio.gather(*(reader.stop() for reader in list(self._readers)))
        await self._watches.close()
        await self._writer.close()
        await self._topics.close()

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """See `Bus.publish`."""
        return await self._writer.publish(self._names.native, messages)

    async def read(self, group: str, topics: Sequence[str], sink: Sink, *, member: str) -> Reader:
        """See `Bus.read`."""
        natives = self._by_native(topics)
        missing = natives.keys() - (await self._topics.all()).keys()
        if missing:
            named = ", ".join(sorted(natives[native] for native in missing))
            raise NotFound(f"There is no topic {named}.", hint="Create it before reading from it.")
        name = self._names.native(group)
        if self._options.return_s and not is_legal(member):
            raise Invalid(
                f"{member!r} is no name for a member.", hint="Use letters, digits, dots, dashes, underscores."
            )
        reader = KafkaReader(
            name,
            list(natives),
            Partitions(natives),
            sink,
            connect=lambda stays: self._clients.member(name, member, stays=stays),
            stays=self._options.return_s > 0,
            taken=lambda: self._is_taken(name, member),
            options=self._options,
            ended=self._readers.discard,
        )
        await reader.start()
        self._readers.add(reader)
        return reader

    def watch(self, topics: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """See `Bus.watch`."""
        return self._watches.watch(self._by_native(topics))

    def replay(
        self,
        topic: str,
        *,
        partition: int | None = None,
        from_offset: str | None = None,
        from_time_ms: int | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[Delivery]:
        """See `Bus.replay`; both ends are included, and what is written meanwhile is not."""
        native = self._names.native(topic)
        return self._replays.replay(
            native, topic, partition=partition, from_offset=from_offset, from_time_ms=from_time_ms, limit=limit
        )

    async def partitions(self, topic: str) -> list[PartitionInfo]:
        """See `Bus.partitions`; of a compacted topic ``held`` is at the most what it says."""
        partitions = await self._topics.partitions(self._names.native(topic))
        beginnings, ends = await self._topics.beginnings(partitions), await self._topics.ends(partitions)
        return [
            PartitionInfo(
                number=at.partition,
                first=str(beginnings[at]) if beginnings[at] < ends[at] else "",
                last=str(ends[at] - 1) if beginnings[at] < ends[at] else "",
                held=ends[at] - beginnings[at],
            )
            for at in partitions
        ]

    async def create_topic(self, name: str, *, partitions: int, settings: Mapping[str, str] | None = None) -> None:
        """See `Bus.create_topic`; settings are Kafka's topic settings, such as ``retention.ms``.

        ``retention.messages`` is left out: Kafka keeps by time and bytes.
        """
        kept = {key: value for key, value in (settings or {}).items() if key != _NOT_OF_KAFKA}
        await self._topics.create(self._names.native(name), partitions, _BROKERS_TIME | kept)

    async def alter_topic(
        self, name: str, *, settings: Mapping[str, str] | None = None, partitions: int | None = None
    ) -> None:
        """See `Bus.alter_topic`; writers take note of new partitions within ``metadata_s`` of the options."""
        native = self._names.native(name)
        kept = {key: value for key, value in (settings or {}).items() if key != _NOT_OF_KAFKA}
        if kept:
            await self._topics.change(native, kept)
        if partitions is not None:
            await self._topics.grow(native, partitions)

    async def delete_topic(self, name: str) -> None:
        """See `Bus.delete_topic`."""
        await self._topics.delete(self._names.native(name))

    async def topics(self) -> list[TopicInfo]:
        """See `Bus.topics`."""
        counts = {native: count for native, count in (await self._topics.all()).items() if self._names.own(native)}
        facts = await self._topics.settings(list(counts))
        ends = await self._ends(counts)
        return [
            TopicInfo(
                name=self._names.own(native) or native,
                partitions=count,
                end=sum(end for at, end in ends.items() if at.topic == native),
                settings=dict(facts[native].own.items() - _BROKERS_TIME.items()),
                retention_ms=int(facts[native].all.get("retention.ms", "-1")),
                cleanup=facts[native].all.get("cleanup.policy", "delete"),
            )
            for native, count in sorted(counts.items())
        ]

    async def lag(self, group: str) -> dict[str, int]:
        """See `Bus.lag`; what the broker no longer stores is not counted."""
        name = self._names.native(group)
        committed = await self._topics.committed(name)
        read = {at.topic for at in committed} | await self._topics.subscribed(name)
        counts = {native: count for native, count in (await self._topics.all()).items() if native in read}
        ends = await self._ends(counts)
        beginnings = await self._topics.beginnings(ends) if ends else {}
        lag = dict.fromkeys((self._names.own(native) or native for native in counts), 0)
        for at, end in ends.items():
            done = max(committed.get(at, 0), beginnings[at])
            lag[self._names.own(at.topic) or at.topic] += max(end - done, 0)
        return lag

    async def members(self, group: str) -> list[MemberInfo]:
        """See `Bus.members`; the host is the address that the broker sees."""
        members = [
            MemberInfo(name=name, host=host.removeprefix("/"), partitions=tuple(sorted(map(self._own, owned))))
            for name, host, owned in await self._topics.members(self._names.native(group))
        ]
        return sorted(members, key=lambda member: member.name)

    async def delete_group(self, group: str) -> None:
        """See `Bus.delete_group`."""
        await self._topics.delete_group(self._names.native(group))

    async def health(self) -> BusHealth:
        """See `Bus.health`."""
        begun = time.monotonic()
        where = ", ".join(self._target.servers)
        try:
            async with asyncio.timeout(_HEALTH_S - _DIAGNOSE_S):
                brokers = await self._topics.brokers()
        except (AutoWeaveError, *FAILURES) as error:
            left_s = _HEALTH_S - (time.monotonic() - begun)
            cause, fix = await diagnose(self._clients, max(left_s, _DIAGNOSE_S))
            told = translate(error, "ask how it is").message
            return BusHealth(ok=False, kind="kafka", detail=f"Kafka at {where}: {told}", cause=cause, fix=fix)
        latency = (time.monotonic() - begun) * 1000
        return BusHealth(ok=True, kind="kafka", detail=f"Kafka at {where}, {brokers} up", latency_ms=latency)

    async def _ends(self, counts: Mapping[str, int]) -> dict[TopicPartition, int]:
        partitions = [TopicPartition(native, number) for native, count in counts.items() for number in range(count)]
        return await self._topics.ends(partitions) if partitions else {}

    def _own(self, native: TopicPartition) -> Partition:
        return Partition(self._names.own(native.topic) or native.topic, native.partition)

    async def _is_taken(self, native: str, member: str) -> bool:
        """Whether a member of the group goes by that name; asked by one that is none any more."""
        return any(client == member for client, _, _ in await self._topics.members(native))

    async def _exists(self, native: str) -> bool:
        return native in await self._topics.all()

    def _by_native(self, topics: Sequence[str]) -> dict[str, str]:
        return {self._names.native(topic): topic for topic in topics}
