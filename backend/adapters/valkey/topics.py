"""The topics of a name space: made, deleted, described and trimmed."""

from collections import defaultdict
from collections.abc import Mapping
from typing import cast

import msgspec

from backend.adapters.valkey.scripts import ALTER, CREATE, DELETE, KEYS_OF, TRIM
from backend.adapters.valkey.server import Reply, Server
from backend.foundation.bus.ports import MemberInfo, Partition, TopicInfo
from backend.foundation.bus.rules import KEEP_MESSAGES, KEEP_MS
from backend.foundation.kernel.errors import Conflict, Invalid, NotFound, Unavailable

_PAGE = 200
_TRIES = 10
_CLEANUPS = ({"delete"}, {"compact"}, {"compact", "delete"})
CLEANUP = "cleanup.policy"
RETENTION_MS = "retention.ms"
RETENTION_MESSAGES = "retention.messages"


class Description(msgspec.Struct):
    """A topic as the server keeps it."""

    partitions: int
    settings: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def age_ms(self) -> int:
        """For how long messages are kept; -1 for ever."""
        return int(self.settings.get(RETENTION_MS, KEEP_MS))

    @property
    def cleanup(self) -> set[str]:
        """What happens to old messages: ``delete``, ``compact`` or both."""
        return set(self.settings.get(CLEANUP, "delete").split(","))


_decoder = msgspec.json.Decoder(Description)


class Topics:
    """Knows the topics; what was read once is kept until `forget`.

    Settings of a topic: ``retention.ms`` (default 7 days) and ``retention.messages`` for each partition (default
    20,000), ``cleanup.policy`` as Kafka has it. The first two apply only to messages that every group has done which
    had a member within ``retention.ms``; compaction takes what a later message of its key replaces, done or not.
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
        description = _checked(Description(partitions, dict(settings)))
        keys = [self._server.key("topics"), self.ends(name)]
        has = await self._server.run(CREATE, keys, [name, msgspec.json.encode(description), partitions])
        self._known.pop(name, None)
        if has != partitions:
            raise Conflict(f"The topic {name!r} exists with {has} partitions, not {partitions}.")
        self._made[name] = description

    async def alter(self, name: str, settings: Mapping[str, str], partitions: int | None) -> None:
        """Change settings of a topic, or raise its partitions; raise `NotFound`, `Conflict`, `Invalid`."""
        keys = [self._server.key("topics"), self.ends(name)]
        for _ in range(_TRIES):
            text = cast("bytes | None", await self._server.call("HGET", keys[0], name))
            if text is None:
                raise NotFound(f"There is no topic {name!r}.", hint="Create it first.")
            before = _decoder.decode(text)
            count = before.partitions if partitions is None else partitions
            if count < before.partitions:
                hint = "Partitions cannot be taken away: use that number."
                raise Conflict(f"The topic {name!r} has {before.partitions} partitions, more than {count}.", hint=hint)
            after = _checked(Description(count, before.settings | dict(settings)))
            if await self._server.run(ALTER, keys, [name, text, msgspec.json.encode(after), count]):
                self._known[name] = after
                if name in self._made:
                    self._made[name] = after
                return
        raise Unavailable(f"Others change the topic {name!r} all the time.", hint="Try again.")

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
        for name in list(self._known):
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
        self._known = {}

    async def describe(self) -> list[TopicInfo]:
        """Describe all topics, by name."""
        await self._load()
        return [
            TopicInfo(
                name=name,
                partitions=found.partitions,
                end=sum((await self.counts(name)).values()),
                settings=found.settings,
                retention_ms=found.age_ms,
                cleanup=",".join(sorted(found.cleanup)),
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
        """Delete what is past its time, or too much, and done by every group; return how many messages.

        Of a compacted topic delete what a later message of its key replaces.
        """
        await self._load()
        deleted = 0
        for name, found in list(self._known.items()):
            if "compact" in found.cleanup:
                for number in range(found.partitions):
                    deleted += await self._compact(name, number)
            if "delete" in found.cleanup and found.age_ms >= 0:
                messages = int(found.settings.get(RETENTION_MESSAGES, KEEP_MESSAGES))
                arguments = [self._server.namespace, name, found.partitions, found.age_ms, messages]
                reply = await self._server.run(TRIM, [self._server.key("groups", name), self.ends(name)], arguments)
                deleted += cast("int", reply)
        return deleted

    async def _compact(self, name: str, number: int) -> int:
        """Keep the last message of each key, once more is replaced than stays, so that a message costs little.

        The newest of the partition always stays: cursors and lag, which count messages, are right over the gaps.
        """
        stream, kept = self.stream(name, number), self._server.key("kept", name)
        held = cast("int", await self._server.call("XLEN", stream))
        if held <= 2 * int(cast("bytes | None", await self._server.call("HGET", kept, number)) or 0):
            return 0
        last, replaced, cursor = dict[bytes, bytes](), list[bytes](), b"0-0"
        while page := cast("list[bytes]", await self._server.run(KEYS_OF, [stream], [cursor, _PAGE])):
            for id, key in zip(page[::2], page[1::2], strict=True):
                if key in last:
                    replaced.append(last[key])
                last[key] = cursor = id
        for at in range(0, len(replaced), _PAGE):
            await self._server.call("XDEL", stream, *replaced[at : at + _PAGE])
        await self._server.call("HSET", kept, number, len(last))
        return len(replaced)

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


def _checked(description: Description) -> Description:
    """Return it; raise `Invalid` for settings that are none, which would end the housekeeping of all topics."""
    if description.cleanup not in _CLEANUPS:
        raise Invalid(f"{CLEANUP} is delete, compact or compact,delete.", field=CLEANUP)
    for key, least in ((RETENTION_MS, -1), (RETENTION_MESSAGES, 0)):
        value = description.settings.get(key, "0")
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit():
            raise Invalid(f"{key} is a whole number.", field=key)
        if not least <= int(value[:20]) < 2**53:
            raise Invalid(f"{key} is out of bounds.", field=key)
    return description


def pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Return the fields and values of a hash."""
    flat = cast("list[bytes]", reply)
    return list(zip(flat[::2], flat[1::2], strict=True))


def count_of(offset: str) -> int:
    """Return how many messages the partition had with that offset."""
    return int(offset.partition("-")[2])
