"""The topics of a name space: made, deleted, described and trimmed."""

from collections import defaultdict
from collections.abc import Mapping
from typing import cast

import msgspec

from backend.adapters.valkey.scripts import CREATE, DELETE, TRIM
from backend.adapters.valkey.server import Reply, Server
from backend.foundation.bus.ports import MemberInfo, Partition, TopicInfo
from backend.foundation.bus.rules import KEEP_MESSAGES, KEEP_MS
from backend.foundation.kernel.errors import Conflict

RETENTION_MS = "retention.ms"
RETENTION_MESSAGES = "retention.messages"


class Description(msgspec.Struct):
    """A topic as the server keeps it."""

    partitions: int
    settings: dict[str, str] = msgspec.field(default_factory=dict[str, str])


_decoder = msgspec.json.Decoder(Description)


class Topics:
    """Knows the topics; what was read once is kept until `forget`.

    Settings of a topic: ``retention.ms`` (default 7 days) and ``retention.messages`` for each partition (default
    20,000). Both apply only to messages that every group has done which had a member within ``retention.ms``.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, Description] = {}
        self._made: dict[str, Description] = {}

    def stream(self, topic: str, partition: int) -> str:
        """Return the key of a partition's stream."""
        return self._server.key("t", topic, partition)

    def ends(self, topic: str) -> str:
        """Return the key of a topic's ends."""
        return self._server.key("end", topic)

    async def create(self, name: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Make a topic; raise `Conflict` when it exists with another number of partitions."""
        description = Description(partitions, dict(settings))
        keys = [self._server.key("topics"), self.ends(name)]
        has = await self._server.run(CREATE, keys, [name, msgspec.json.encode(description), partitions])
        self._known.pop(name, None)
        if has != partitions:
            raise Conflict(f"The topic {name!r} exists with {has} partitions, not {partitions}.")
        self._made[name] = description

    async def delete(self, name: str) -> None:
        """Delete a topic, its messages and the positions of its groups."""
        self._known.pop(name, None)
        self._made.pop(name, None)
        keys = [self._server.key("topics"), self._server.key("groups", name)]
        await self._server.run(DELETE, keys, [name, self._server.namespace])

    async def delete_group(self, group: str) -> None:
        """Forget a group's positions in all topics; raise `Conflict` while one of its members is alive."""
        await self._load()
        now = await self._now_ms()
        for name in self._known:
            members = self._members(group, name)
            if await self._server.call("ZCOUNT", members, now, "+inf"):
                raise Conflict(f"The group {group!r} has members.", hint="Stop its consumers first.")
            await self._server.call("ZREM", self._server.key("groups", name), group)
            await self._server.call("UNLINK", self._state(group, name), members)

    async def members(self, group: str) -> list[MemberInfo]:
        """Return who is alive in a group, of all topics, with the leases that hold."""
        await self._load()
        now = await self._now_ms()
        hosts: dict[str, str] = {}
        owned: dict[str, list[Partition]] = defaultdict(list)
        for name, found in sorted(self._known.items()):
            alive = cast(
                "list[bytes]", await self._server.call("ZRANGEBYSCORE", self._members(group, name), now, "+inf")
            )
            if not alive:
                continue
            state = {
                k.decode(): v.decode() for k, v in pairs(await self._server.call("HGETALL", self._state(group, name)))
            }
            hosts |= {member: state.get(f"h{member}", "") for member in map(bytes.decode, alive)}
            for number in range(found.partitions):
                if int(state.get(f"u{number}", "0")) > now:
                    owned[state.get(f"o{number}", "")].append(Partition(name, number))
        return [
            MemberInfo(name=member, host=hosts[member], partitions=tuple(owned[member])) for member in sorted(hosts)
        ]

    def _state(self, group: str, topic: str) -> str:
        return self._server.key("g", group, topic)

    def _members(self, group: str, topic: str) -> str:
        return self._server.key("m", group, topic)

    async def _now_ms(self) -> int:
        clock = cast("list[bytes]", await self._server.call("TIME"))
        return int(clock[0]) * 1000

    async def partitions(self, name: str) -> int:
        """Return how many partitions a topic has, 0 when there is no such topic."""
        if name not in self._known:
            await self._load()
        found = self._known.get(name)
        return found.partitions if found else 0

    def forget(self) -> None:
        """Ask the server again at the next look."""
        self._known.clear()

    async def describe(self) -> list[TopicInfo]:
        """Describe all topics, by name."""
        await self._load()
        return [
            TopicInfo(
                name=name,
                partitions=found.partitions,
                end=sum((await self.counts(name)).values()),
                settings=found.settings,
            )
            for name, found in sorted(self._known.items())
        ]

    async def counts(self, name: str) -> dict[int, int]:
        """Return how many messages were ever written to each partition."""
        return {
            int(number): count_of(end.decode())
            for number, end in pairs(await self._server.call("HGETALL", self.ends(name)))
        }

    async def trim(self) -> int:
        """Delete what is past its time, or too much, and done by every group; return how many messages."""
        await self._load()
        deleted = 0
        for name, found in self._known.items():
            age = int(found.settings.get(RETENTION_MS, KEEP_MS))
            messages = int(found.settings.get(RETENTION_MESSAGES, KEEP_MESSAGES))
            arguments = [self._server.namespace, name, found.partitions, age, messages]
            reply = await self._server.run(TRIM, [self._server.key("groups", name), self.ends(name)], arguments)
            deleted += cast("int", reply)
        return deleted

    async def restore(self) -> bool:
        """Make the topics that this process made again, when the server came back without any; say whether it did."""
        if not self._made or await self._server.call("EXISTS", self._server.key("topics")):
            return False
        for name, description in list(self._made.items()):
            await self.create(name, description.partitions, description.settings)
        return True

    async def _load(self) -> None:
        reply = await self._server.call("HGETALL", self._server.key("topics"))
        self._known = {name.decode(): _decoder.decode(text) for name, text in pairs(reply)}


def pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Return the fields and values of a hash."""
    flat = cast("list[bytes]", reply)
    return list(zip(flat[::2], flat[1::2], strict=True))


def count_of(offset: str) -> int:
    """Return how many messages the partition had with that offset."""
    return int(offset.partition("-")[2])
