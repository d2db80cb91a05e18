"""The event log that the product stands on. Two adapters: Apache Kafka and Valkey Streams.

An adapter moves bytes and owns partitions; what a consumer promises (order by key, concurrency across keys, contiguous
commit, retries, dead letters, back-pressure) is the room's own `dispatch`, so that both adapters keep it alike.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Partition(NamedTuple):
    """A part of a topic; one member of a group owns it at a time."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Message:
    """What is written: ``headers`` carry the CloudEvents attributes (``ce_id``, ``ce_type``, …), ``value`` the data."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is read: the message and where it stands in the log; ``offset`` sorts by the adapter's own order only."""

    message: Message
    partition: Partition
    offset: str
    timestamp_ms: int


class Sink(Protocol):
    """Who reads: the adapter calls it, from one task, never two at once."""

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """These partitions are owned from now on; their first delivery follows the committed position."""
        ...

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """These are about to be owned by another: finish or drop what is at work and commit, within 5 s."""
        ...

    async def lost(self, partitions: Sequence[Partition]) -> None:
        """These are owned by another already: a commit would be refused, what is at work must not commit."""
        ...

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Take them in the order of their partition; never blocks (ask for a pause when it is too much)."""
        ...


class Reader(Protocol):
    """A member of a group at work."""

    async def commit(self, positions: Mapping[Partition, str]) -> None:
        """Record the offset of the last delivery done of each; raise `Fenced` where another owns the partition."""
        ...

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Deliver no more of these for now; keeps the membership."""
        ...

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Go on where `pause` stopped."""
        ...

    async def stop(self) -> None:
        """Stop reading, call `Sink.revoked` for what is owned, leave the group."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInfo:
    """A topic as the broker describes it.

    Attributes:
        end: the number of messages ever written.
        settings: those that it was given itself, by Kafka's names.
        retention_ms: for how long messages are kept, by its own settings or the broker's; -1 for ever.
        cleanup: what happens to them then, as Kafka writes it: ``delete``, ``compact`` (of each key the last message
            stays, without end) or ``compact,delete`` (of each key the last one stays, until its time is over).
    """

    name: str
    partitions: int
    end: int
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    retention_ms: int = -1
    cleanup: str = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionInfo:
    """A partition: the offsets of the oldest and the newest message that it holds, empty without one, and how many."""

    number: int
    first: str
    last: str
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfo:
    """Who reads for a group: ``name`` as given to `Bus.read`, ``host`` as the broker knows it, and what it owns now."""

    name: str
    host: str
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusHealth:
    """Whether the broker answers, how fast, and what to do when it does not."""

    ok: bool
    kind: str
    detail: str
    latency_ms: float = 0.0
    cause: str = ""
    fix: str = ""


class Bus(Protocol):
    """The port. Every method may raise `Unavailable`; nothing is retried for longer than its caller can wait."""

    async def start(self) -> None:
        """Connect; return when the broker answers, raise `Unavailable` otherwise."""
        ...

    async def close(self) -> None:
        """Stop all subscriptions and give the connections back."""
        ...

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Write the messages, in order by key; return for each ``None`` once the broker has it, else the error."""
        ...

    async def read(self, group: str, topics: Sequence[str], sink: Sink, *, member: str) -> Reader:
        """Join the group as ``member``; new groups start at the earliest message. A long handler never costs the
        membership: the adapter polls, renews and heartbeats in its own task."""
        ...

    def watch(self, topics: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Broadcast, without a group: see every message written from now on (a slow watcher loses the oldest)."""
        ...

    def replay(
        self,
        topic: str,
        *,
        partition: int | None = None,
        from_offset: str | None = None,
        from_time_ms: int | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[Delivery]:
        """Read what is stored, from an offset of each partition's own or a time, at most ``limit``; moves no group.

        Of one ``partition`` alone if it is given, in its order. Raises `Invalid` for what is no offset.
        """
        ...

    async def partitions(self, topic: str) -> list[PartitionInfo]:
        """Describe every partition of a topic, by number; raise `NotFound`."""
        ...

    async def create_topic(self, name: str, *, partitions: int, settings: Mapping[str, str] | None = None) -> None:
        """Make a topic; one that exists already with as many partitions is fine."""
        ...

    async def alter_topic(
        self, name: str, *, settings: Mapping[str, str] | None = None, partitions: int | None = None
    ) -> None:
        """Give a topic these settings, the others stay; raise its partitions, which gives keys other places.

        Raises:
            NotFound: there is no such topic.
            Conflict: it has more partitions already; none can be taken away.
            Invalid, Forbidden: the broker refuses.
        """
        ...

    async def delete_topic(self, name: str) -> None:
        """Delete a topic with all its messages; one that does not exist is fine."""
        ...

    async def topics(self) -> list[TopicInfo]:
        """Describe every topic of this product."""
        ...

    async def lag(self, group: str) -> dict[str, int]:
        """Return how many messages of each topic the group has not committed yet."""
        ...

    async def members(self, group: str) -> list[MemberInfo]:
        """Return who reads for the group now, by name; nobody for a group that is not known."""
        ...

    async def delete_group(self, group: str) -> None:
        """Forget a group and its positions; raise `Conflict` while it has members. One that is not known is fine."""
        ...

    async def health(self) -> BusHealth:
        """Ask the broker, within 2 s; never raises."""
        ...
