"""A member's leases: kept, taken, given back, and the proof of ownership with which a cursor is moved."""

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from backend.adapters.valkey.scripts import BALANCE, COMMIT, RELEASE
from backend.adapters.valkey.server import Argument, Line, Reply, Server
from backend.adapters.valkey.topics import Topics
from backend.foundation.bus.ports import Partition
from backend.foundation.kernel.errors import Fenced

_HOST = socket.gethostname()


@dataclass(slots=True)
class Change:
    """What a look at the group brought; to be applied in this order. ``taken`` has the cursors."""

    lost: list[Partition] = field(default_factory=list[Partition])
    give: list[Partition] = field(default_factory=list[Partition])
    taken: dict[Partition, str] = field(default_factory=dict[Partition, str])

    def __bool__(self) -> bool:
        return bool(self.lost or self.give or self.taken)


class Leases:
    """The leases of one member of one group, over some topics.

    Args:
        server: where they are.
        line: the connection to use.
        topics: knows how many partitions a topic has.
        group: the group's name.
        member: this member's name, unique in the group.
        names: the topics.
        ttl_ms: how long a lease holds without renewal.
    """

    def __init__(
        self, server: Server, line: Line, topics: Topics, *, group: str, member: str, names: Sequence[str], ttl_ms: int
    ) -> None:
        self._server = server
        self._line = line
        self._topics = topics
        self._group = group
        self._member = member
        self._names = tuple(names)
        self._ttl_ms = ttl_ms
        self._epochs: dict[Partition, int] = {}
        self._leaving: set[Partition] = set()
        self._renewed = time.monotonic()

    @property
    def channel(self) -> str:
        """The server's name of the channel on which members tell that they came or went."""
        return self._server.key("ch", self.notices)

    @property
    def notices(self) -> str:
        """The same, as a `Listener` names it."""
        return f"group:{self._group}"

    async def balance(self) -> Change:
        """Renew what is held and take a fair share; what is too much is in ``give`` once, until `release`."""
        change = Change()
        asked = time.monotonic()
        for topic in self._names:
            count = await self._topics.partitions(topic)
            if count:
                await self._balance(topic, count, change)
        self._renewed = asked
        return change

    def drop_if_lapsed(self) -> Change:
        """Count everything as lost when renewal has failed for longer than a lease holds."""
        lapsed = (time.monotonic() - self._renewed) * 1000 > self._ttl_ms
        return self.drop() if lapsed else Change()

    def drop(self) -> Change:
        """Count everything as lost; the next `balance` takes what is still free, under a new epoch."""
        change = Change(lost=list(self._epochs))
        self._epochs.clear()
        self._leaving.clear()
        return change

    def held(self) -> list[Partition]:
        """Return what this member holds."""
        return list(self._epochs)

    async def release(self, partitions: Sequence[Partition], *, leave: bool = False) -> None:
        """Give partitions back; ``leave`` ends the membership too, so that the others take over at once."""
        for topic in self._names if leave else sorted({partition.topic for partition in partitions}):
            mine = [partition for partition in partitions if partition.topic == topic and partition in self._epochs]
            arguments: list[Argument] = [self._member, int(leave), self.channel]
            for partition in mine:
                arguments += (partition.number, self._epochs.pop(partition))
                self._leaving.discard(partition)
            await self._line.run(RELEASE, [self._state(topic), self._members(topic)], arguments)

    async def commit(self, positions: Mapping[Partition, str]) -> None:
        """Move cursors; raise `Fenced` when another owns one of the partitions (the others are moved)."""
        topics = sorted({partition.topic for partition in positions})
        arguments: list[Argument] = [self._member]
        for partition, offset in positions.items():
            epoch = self._epochs.get(partition, 0)
            arguments += (topics.index(partition.topic) + 1, partition.number, epoch, offset)
        fenced = cast("list[int]", await self._line.run(COMMIT, [self._state(topic) for topic in topics], arguments))
        if fenced:
            order = list(positions)
            names = ", ".join(f"{order[index].topic}[{order[index].number}]" for index in fenced)
            raise Fenced(f"Another member of {self._group!r} reads {names} now.")

    async def _balance(self, topic: str, count: int, change: Change) -> None:
        held = sorted((p for p in self._epochs if p.topic == topic), key=lambda p: (p in self._leaving, p.number))
        arguments: list[Argument] = [self._member, self._group, self._ttl_ms, count, self.channel, _HOST]
        for partition in held:
            arguments += (partition.number, self._epochs[partition])
        keys = [self._state(topic), self._members(topic), self._server.key("groups", topic)]
        lost, give, taken, _ = cast("list[list[Reply]]", await self._line.run(BALANCE, keys, arguments))
        for partition in (Partition(topic, cast("int", number)) for number in lost):
            if self._epochs.pop(partition, None) is not None:
                self._leaving.discard(partition)
                change.lost.append(partition)
        for partition in (Partition(topic, cast("int", number)) for number in give):
            if partition in self._epochs and partition not in self._leaving:
                self._leaving.add(partition)
                change.give.append(partition)
        for number, epoch, cursor in cast("list[tuple[int, int, bytes]]", taken):
            self._epochs[Partition(topic, number)] = epoch
            change.taken[Partition(topic, number)] = cursor.decode()

    def _state(self, topic: str) -> str:
        return self._server.key("g", self._group, topic)

    def _members(self, topic: str) -> str:
        return self._server.key("m", self._group, topic)
