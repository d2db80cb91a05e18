"""What the contract suite reads by: a sink that remembers everything, and what the two buses have in common."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from backend.foundation.bus.ports import Bus, Delivery, Message, Partition, Reader
from tests.fixtures.waiting import until

PARTITIONS = 4
DEADLINE_S = 20.0


@dataclass
class Mesh:
    """A place where buses meet.

    Attributes:
        kind: ``kafka`` or ``valkey``.
        url: of the server.
        namespace: of the test.
        make: another bus in the place, as another process would have it.
        session_s: after how long a silent member is missed.
    """

    kind: str
    url: str
    namespace: str
    make: Callable[..., Awaitable[Bus]]
    session_s: float


@dataclass
class HurtMesh(Mesh):
    """A place whose server the test may take down: ``kill`` it, and ``restart`` it with its data."""

    kill: Callable[[], None] = lambda: None
    restart: Callable[[], Awaitable[None]] = field(default=lambda: asyncio.sleep(0))


FAULTS: list[str] = []
"""What a bus did that a sink may rely on not to happen; an adapter may swallow what a sink raises."""


class Collector:
    """A sink that keeps what it was given, and checks what every sink may rely on."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.owned: set[Partition] = set()
        self.calls: list[tuple[str, tuple[Partition, ...]]] = []
        self.reader: Reader | None = None
        self.commits_when_revoked = False
        self._busy = False

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        async with self._alone("assigned", partitions):
            _check(not self.owned & set(partitions), "assigned what is owned already")
            self.owned |= set(partitions)

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        async with self._alone("revoked", partitions):
            _check(set(partitions) <= self.owned, "revoked what is not owned")
            if self.commits_when_revoked and self.reader is not None:
                await self.reader.commit({at: offset for at, offset in self.last().items() if at in partitions})
            self.owned -= set(partitions)

    async def lost(self, partitions: Sequence[Partition]) -> None:
        async with self._alone("lost", partitions):
            self.owned -= set(partitions)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        _check(not self._busy, "delivered while another call was at work")
        _check({each.partition for each in deliveries} <= self.owned, "delivered from what is not owned")
        self.deliveries += deliveries

    def last(self) -> dict[Partition, str]:
        """The offset of the last delivery of each partition."""
        return {each.partition: each.offset for each in self.deliveries}

    def values(self, key: str | None = None) -> list[str]:
        """The payloads in the order of their delivery, of one key or of all."""
        return [each.message.value.decode() for each in self.deliveries if key in (None, each.message.key)]

    def names(self) -> list[str]:
        """The calls without their partitions."""
        return [name for name, _ in self.calls]

    def _alone(self, name: str, partitions: Sequence[Partition]) -> "_Alone":
        self.calls.append((name, tuple(partitions)))
        return _Alone(self)

    def enter(self) -> None:
        _check(not self._busy, "called twice at once")
        self._busy = True

    def leave(self) -> None:
        self._busy = False


def _check(holds: bool, fault: str) -> None:
    if not holds:
        FAULTS.append(fault)


class _Alone:
    def __init__(self, sink: Collector) -> None:
        self._sink = sink

    async def __aenter__(self) -> None:
        self._sink.enter()
        # A second call, if there were one, would come now.
        await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        self._sink.leave()


def message(key: str, value: object, topic: str = "orders") -> Message:
    return Message(topic, key, {"ce_id": f"{key}-{value}"}, str(value).encode())


async def publish(bus: Bus, messages: Iterable[Message]) -> None:
    """Write all of it, or fail the test."""
    assert set(await bus.publish(list(messages))) <= {None}


async def join(bus: Bus, *, group: str = "aw.test", topic: str = "orders", member: str = "one") -> Collector:
    """Read the topic as a member of the group; return when partitions are there."""
    sink = Collector()
    sink.reader = await bus.read(group, [topic], sink, member=member)
    await until(lambda: bool(sink.owned), DEADLINE_S)
    return sink


async def received(sink: Collector, count: int) -> None:
    """Wait until the sink has at least so many deliveries."""
    await until(lambda: len(sink.deliveries) >= count, DEADLINE_S)


def by_key(deliveries: Iterable[Delivery]) -> dict[str, list[str]]:
    """The payloads of each key, in the order of their delivery."""
    keys: dict[str, list[str]] = defaultdict(list)
    for each in deliveries:
        keys[each.message.key].append(each.message.value.decode())
    return keys


def without_repeats(values: Iterable[str]) -> list[str]:
    """The values in the order of their first appearance: what a receiver that deduplicates sees."""
    return list(dict.fromkeys(values))
