"""The topics of the bus as Admin shows them, and the events in one of them, a tenant's own."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from backend.foundation.bus.ports import Delivery, MemberInfo
from backend.foundation.bus.rules import consumers_of, kept
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import Undecodable, decode, readable
from backend.foundation.events.types import CATALOGUE
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import NotFound
from backend.reads.views import ConsumerLag, ConsumerView, EventsView, EventView, MemberView, PartitionView, TopicView

_LOOKED_AT = 5_000
_MOST = 200
_MOST_CHARACTERS = 4_000
_TOGETHER_S = 0.3


class Topics:
    """Reads the bus; nothing here moves a consumer."""

    def __init__(self, bus: BusService) -> None:
        self._bus = bus

    async def all(self, caller: Caller) -> list[TopicView]:
        """Return every topic of the catalogue, by name; needs ``health:read``."""
        caller.require(Permission.HEALTH_READ)
        consumers = sorted({name for entry in CATALOGUE.values() for name in entry.handled_by})
        known, lags = {topic.name: topic for topic in await self._bus.topics()}, await self._bus.lag(*consumers)
        differing = await self._bus.differences()
        return [
            TopicView(
                name=name,
                partitions=known[name].partitions if name in known else 0,
                written=known[name].end if name in known else 0,
                types=_types_of(name),
                consumers=tuple(
                    ConsumerLag(name=consumer, lag=lags[consumer].get(name, 0)) for consumer in consumers_of(name)
                ),
                kept=kept(known[name]) if name in known else "",
                differences=tuple(each for each in differing if each.topic == name),
            )
            for name in sorted({entry.topic for entry in CATALOGUE.values()})
        ]

    async def consumers(self, caller: Caller, topic: str) -> list[ConsumerView]:
        """Return who consumes a topic, by name; needs ``bus:read``. Raises `NotFound` as `events` does."""
        caller.require(Permission.BUS_READ)
        _types_of(topic)
        names = consumers_of(topic)
        lags, members = await self._bus.lag(*names) if names else {}, await self._bus.members(*names)
        return [
            ConsumerView(
                name=name,
                lag=lags[name].get(topic, 0),
                members=tuple(_member(member, topic) for member in members[name]),
            )
            for name in names
        ]

    async def events(
        self,
        caller: Caller,
        topic: str,
        *,
        since_ms: int = 0,
        type: str = "",
        text: str = "",
        partition: int | None = None,
        offset: str = "",
    ) -> EventsView:
        """Return events of the caller's tenant that a topic still holds, at most 200; needs ``bus:read``.

        The newest come first; from an offset on, the first do.

        Args:
            since_ms: the oldest to look at, in milliseconds since 1970.
            partition: the one that is asked for.
            offset: of that partition, from where on; ``since_ms`` counts for nothing then.
            type: the one type that is asked for; empty for any.
            text: what the key, subject, id or data must contain, in any case.

        Raises:
            NotFound: the catalogue has no such topic.
            Invalid: the offset is none of this bus.
        """
        caller.require(Permission.BUS_READ)
        types = _types_of(topic)
        if offset:
            return await self._from(caller, topic, type, text, partition or 0, offset)
        looked_at, found = 0, deque[Delivery](maxlen=_LOOKED_AT)
        async with aclosing(
            self._bus.replay(topic, since_ms=since_ms, limit=_LOOKED_AT, partition=partition)
        ) as stored:
            async for delivery in stored:
                looked_at += 1
                if _fits(delivery, caller, type, text):
                    # Of those of one millisecond, the last that is read is the newest.
                    found.appendleft(delivery)
        newest = sorted(found, key=lambda delivery: -delivery.timestamp_ms)[:_MOST]
        partial = looked_at >= _LOOKED_AT or len(found) > _MOST
        return EventsView(types=types, events=tuple(map(view_of, newest)), partial=partial)

    async def _from(self, caller: Caller, topic: str, type: str, text: str, partition: int, offset: str) -> EventsView:
        found, looked_at, following = list[Delivery](), 0, ""
        replay = self._bus.replay(topic, partition=partition, offset=offset, limit=_LOOKED_AT)
        async with aclosing(replay) as stored:
            async for delivery in stored:
                looked_at += 1
                if len(found) == _MOST or looked_at == _LOOKED_AT:
                    following = delivery.offset
                    break
                if _fits(delivery, caller, type, text):
                    found.append(delivery)
        events = tuple(map(view_of, found))
        return EventsView(types=_types_of(topic), events=events, partial=bool(following), following=following)

    async def partitions(self, caller: Caller, topic: str) -> list[PartitionView]:
        """Return the partitions of a topic; needs ``bus:read``. Raises `NotFound`."""
        caller.require(Permission.BUS_READ)
        _types_of(topic)
        return [
            PartitionView(number=each.number, first=each.first, last=each.last, held=each.held)
            for each in await self._bus.partitions(topic)
        ]

    async def follow(
        self,
        caller: Caller,
        topic: str,
        *,
        since_ms: int = 0,
        type: str = "",
        text: str = "",
        partition: int | None = None,
        offset: str = "",
    ) -> AsyncGenerator[EventsView]:
        """Yield what `events` returns, then what comes, some together, the newest first; none between is missed.

        Some may come twice. Of a flood it yields the last 200 each time. Takes and raises what `events` does; from an
        offset on, nothing comes after what is stored.
        """
        caller.require(Permission.BUS_READ)
        types = _types_of(topic)
        fresh = deque[Delivery](maxlen=_MOST)
        async with self._bus.watch(*types) as seen:

            async def collect() -> None:
                async for delivery in seen:
                    here = not offset and partition in (None, delivery.partition.number)
                    if here and _fits(delivery, caller, type, text):
                        fresh.appendleft(delivery)

            collecting = asyncio.create_task(collect(), name="topics-follow")
            try:
                yield await self.events(
                    caller, topic, since_ms=since_ms, type=type, text=text, partition=partition, offset=offset
                )
                while not collecting.done():
                    await asyncio.sleep(_TOGETHER_S)
                    if fresh:
                        views = tuple(map(view_of, fresh))
                        fresh.clear()
                        yield EventsView(types=types, events=views, partial=False)
                collecting.result()
            finally:
                collecting.cancel()


def view_of(delivery: Delivery) -> EventView:
    """Return a message as it is shown, as much of it as can be read."""
    message = delivery.message
    get = message.headers.get
    return EventView(
        place=f"{delivery.partition.number} @ {delivery.offset}",
        time_ms=delivery.timestamp_ms,
        type=get("ce_type", ""),
        id=get("ce_id", ""),
        key=message.key,
        subject=get("ce_subject", ""),
        trace=get("ce_traceparent", "")[3:35],
        payload=_shown(message.value),
    )


def _types_of(topic: str) -> tuple[str, ...]:
    """Return the names of the event types that a topic carries; topics of others on the broker are not read."""
    types = tuple(sorted(entry.name for entry in CATALOGUE.values() if entry.topic == topic))
    if not types:
        raise NotFound(f"There is no topic {topic!r}.", hint="Admin, Topics lists them.")
    return types


def _member(member: MemberInfo, topic: str) -> MemberView:
    numbers = tuple(each.number for each in member.partitions if each.topic == topic)
    return MemberView(name=member.name, host=member.host, partitions=numbers)


def _fits(delivery: Delivery, caller: Caller, type: str, text: str) -> bool:
    message = delivery.message
    if tenant_of(delivery) != caller.tenant or (type and message.headers.get("ce_type", "") != type):
        return False
    if not text:
        return True
    words = (message.key, message.headers.get("ce_subject", ""), message.headers.get("ce_id", ""))
    return text.lower() in "\n".join((*words, message.value.decode(errors="replace"))).lower()


def tenant_of(delivery: Delivery) -> str:
    """Return whose a message is: in structured mode that stands inside, whatever its headers say."""
    headers = delivery.message.headers
    if "ce_type" in headers:
        return headers.get("ce_tenantid", "")
    try:
        return decode(headers, delivery.message.value).tenant
    except Undecodable:
        return ""


def _shown(value: bytes) -> str:
    text = readable(value)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "\n…"
