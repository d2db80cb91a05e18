"""`BusService`: events out, in the transaction of the change they tell of, and in, once each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.bus import repository
from backend.foundation.bus.ports import (
    Bus,
    BusHealth,
    Delivery,
    MemberInfo,
    Message,
    Partition,
    PartitionInfo,
    Reader,
    TopicInfo,
)
from backend.foundation.bus.rules import PARTITIONS, Retries, TopicPlan, consumers_of, group_of, slot_of
from backend.foundation.bus.service.dispatch import Dispatcher, Work
from backend.foundation.bus.service.relay import Relay
from backend.foundation.bus.service.topics import OwnTopics
from backend.foundation.bus.service.work import Handler, Slow, SlowHandler, Transactional, Wants, dead_letter, given_up
from backend.foundation.bus.views import OutboxView, TopicChange, TopicDifference
from backend.foundation.events.codec import encode, entry_of
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.errors import Conflict, TooLarge
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import outbox_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry import current_traceparent

_MOST_BYTES = 900 * 1024
_DATABASE_WORKERS = {"sqlite": 1, "postgresql": 4}


class BusService:
    """The event log of the product. Three ways out: `publish` (with a change), `emit` (at once), and `live`'s notices.

    Args:
        bus: the broker.
        db: where outbox, inbox and dead letters are.
        live: wakes relays.
        member: this process's name in consumer groups and leases; by default made up. One that stays the same over a
            restart (and is nobody else's) goes on at once where it stopped, without waiting for its leases to end.
        partitions: of the product's topics, at the least.
        retention_ms: how long those keep messages, 0 for as long as the broker does by itself.
        relay_shards: into how many parts the outbox is divided.
    """

    def __init__(
        self,
        bus: Bus,
        db: Database,
        live: Live,
        *,
        member: str = "",
        partitions: int = PARTITIONS,
        retention_ms: int = 0,
        relay_shards: int = 1,
    ) -> None:
        self._bus = bus
        self._db = db
        self._live = live
        self._member = member or new_id("wrk")
        self._own = OwnTopics(bus, partitions=partitions, retention_ms=retention_ms)
        self._relay_shards = relay_shards
        self._relays: list[Relay] = []
        self._consumers: dict[str, tuple[Reader, Dispatcher]] = {}

    async def start(self) -> None:
        """Connect and make the catalogue's topics that are not there; those that are stay as they are.

        Raises:
            Unavailable: the broker does not answer.
        """
        await self._bus.start()
        await self._own.make_all()

    async def close(self) -> None:
        """Stop all consumers: what is at work may end within 5 s, the rest goes to others."""
        consumers = list(self._consumers.values())
        self._consumers.clear()
        await asyncio.gather(*(reader.stop() for reader, _ in consumers))
        for _, dispatcher in consumers:
            await dispatcher.close()
        await self._bus.close()

    async def publish(self, session: AsyncSession, *events: Event) -> None:
        """Write events in the session's transaction: they are relayed, in order by key, if and only if it commits.

        Raises:
            Undecodable: the type is not in the catalogue, the data is not its model's, or the tenant is missing.
            TooLarge: the data has more than 900 KiB.
        """
        if events:
            repository.insert_outbox_at_commit(session, self.outbox_values(events))
            after_commit(session, self._wake_relay)

    async def publish_again(self, session: AsyncSession, event: Event, headers: Mapping[str, str]) -> None:
        """Like `publish`, with headers that are none of the event's attributes."""
        [row] = self.outbox_values([event])
        repository.insert_outbox_at_commit(session, [row | {"headers": row["headers"] | headers}])
        after_commit(session, self._wake_relay)

    def outbox_values(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Return the rows of ``bus_outbox`` for events; who inserts them himself calls `wake_relay` after."""
        return [self._outbox_row(event) for event in events]

    def wake_relay(self) -> None:
        """Tell the relays that something was committed; never waits, never fails."""
        self._wake_relay()

    async def emit(self, *events: Event) -> None:
        """Write events to the broker and return when it has them all.

        Raises:
            Unavailable: it may have none, some or all; sending again is harmless.
            Undecodable, TooLarge: as with `publish`.
        """
        wires = [encode(_traced(event)) for event in events]
        hit("bus.emit.before")
        results = await self._bus.publish([Message(*wire) for wire in wires])
        hit("bus.emit.after")
        for error in results:
            if error is not None:
                raise error

    async def subscribe(
        self,
        consumer: str,
        handlers: Mapping[str, Handler],
        *,
        wants: Wants | None = None,
        retries: Retries | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Handle events of these types in transactions, once each, in order by key.

        A handler reacts in the transaction that also records the event as done. One that raises is tried again alone,
        with growing waits that hold up its key only; at last the event becomes a dead letter, at once where it
        raised `Hopeless`.

        Args:
            consumer: a stable name; the consumers of one name share the events.
            handlers: by type; events of other types on the same topics are passed over.
            wants: which of those events there is anything to do with, by default all; others cost no transaction.
            retries: how often and with what waits a handler that fails is tried, by default `rules.RETRIES`.
            concurrency: transactions at the same time; by default one on SQLite, four on PostgreSQL.
        """
        workers = concurrency or _DATABASE_WORKERS[self._db.dialect]
        work = Transactional(consumer, handlers, self._db, self.publish, wants)
        await self._consume(consumer, handlers, work, workers, retries)

    async def subscribe_slow(
        self,
        consumer: str,
        handlers: Mapping[str, SlowHandler],
        *,
        retries: Retries | None = None,
        concurrency: int = 64,
    ) -> None:
        """Handle events without a transaction, so that a handler may take minutes; recorded as done once it returns.

        After a crash in between the handler is called again: it must bear that. Otherwise like `subscribe`;
        ``concurrency`` is the number of keys at the same time.
        """
        work = Slow(consumer, handlers, self._db, self.publish)
        await self._consume(consumer, handlers, work, concurrency, retries)

    async def run_relay(self) -> None:
        """Relay the outbox until cancelled; of all who do so one at a time serves each shard."""
        relays = [
            Relay(
                self._db,
                self._bus,
                self._live,
                owner=self._member,
                make_topic=self._own.make,
                shard=shard,
                shards=self._relay_shards,
            )
            for shard in range(self._relay_shards)
        ]
        self._relays += relays
        try:
            async with asyncio.TaskGroup() as group:
                for relay in relays:
                    group.create_task(relay.run(), name="bus-relay")
        finally:
            self._relays = [relay for relay in self._relays if relay not in relays]

    def watch(self, *types: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """See every event of these types' topics from now on, in every process (all tenants': filter by yours)."""
        return self._bus.watch(sorted({entry_of(name).topic for name in types}))

    async def replay(
        self, topic: str, *, since_ms: int = 0, limit: int, partition: int | None = None, offset: str = ""
    ) -> AsyncGenerator[Delivery]:
        """Read again what a topic holds since a time, or from an offset on, all tenants': filter by yours.

        No consumer notices. Of one partition alone if it is given.
        """
        stored = self._bus.replay(
            topic,
            partition=partition,
            from_offset=offset or None,
            from_time_ms=None if offset else since_ms,
            limit=limit,
        )
        async for delivery in stored:
            yield delivery

    async def partitions(self, topic: str) -> list[PartitionInfo]:
        """Describe the partitions of a topic."""
        return await self._bus.partitions(topic)

    async def topics(self) -> list[TopicInfo]:
        """Describe the topics."""
        return await self._bus.topics()

    def plan(self, topic: str) -> TopicPlan:
        """Return how a topic of the product has to be."""
        return self._own.plan(topic)

    async def differences(self) -> list[TopicDifference]:
        """Return in what the product's topics that are there are not as the settings and the catalogue want them."""
        return await self._own.differences()

    async def apply(self, *, partitions: bool = False) -> list[TopicChange]:
        """Make the product's topics as they are wanted; return what was done about each difference.

        Args:
            partitions: whether to raise partitions too: keys get other places, so only where no event waits.
        """
        return await self._own.apply(self._waiting, partitions=partitions)

    async def _waiting(self, topic: str) -> int:
        # What is in the outbox still goes to the new places, all of it.
        lags = await self.lag(*names) if (names := consumers_of(topic)) else {}
        return sum(lag.get(topic, 0) for lag in lags.values())

    async def lag(self, *consumers: str) -> dict[str, dict[str, int]]:
        """Return how many messages of each topic these consumers, by default this process's, have not done yet."""
        return {name: await self._bus.lag(group_of(name)) for name in consumers or self._consumers}

    async def members(self, *consumers: str) -> dict[str, list[MemberInfo]]:
        """Return who reads for each of these consumers now: processes of every machine."""
        return {name: await self._bus.members(group_of(name)) for name in consumers}

    async def health(self) -> BusHealth:
        """Ask the broker, within 2 s; never raises."""
        return await self._bus.health()

    async def outbox(self) -> OutboxView:
        """Return how much waits for the relay."""
        async with self._db.system_read() as session:
            waiting, oldest_ms = await repository.backlog(session)
        return OutboxView(waiting=waiting, oldest_ms=oldest_ms)

    async def done(self, *consumers: str) -> dict[str, int]:
        """Return how many events each consumer has recorded as done, of those whose rows are still kept."""
        async with self._db.system_read() as session:
            return {name: await repository.seen(session, name) for name in consumers}

    async def give_up(
        self, session: AsyncSession, consumer: str, event: Event, error: Exception, attempts: int
    ) -> None:
        """Keep an event whose work cannot be done where a person finds it, in the session's transaction.

        Args:
            consumer: the room that gave up.
            event: what would begin the work again.
            error: why.
            attempts: how often it was tried.
        """
        topic, key, headers, value = encode(event)
        delivery = Delivery(Message(topic, key, headers, value), Partition(topic, -1), event.id, 0)
        row = dead_letter(consumer, delivery, event, error, attempts)
        await repository.insert_dead(session, [row])
        await self.publish(session, *given_up(row))

    async def _consume(
        self, consumer: str, handlers: Mapping[str, object], work: Work, workers: int, retries: Retries | None
    ) -> None:
        if consumer in self._consumers:
            raise Conflict(f"The consumer {consumer!r} is subscribed in this process already.")
        topics = sorted({entry_of(name).topic for name in handlers})
        dispatcher = Dispatcher(consumer, work, workers=workers, retries=retries)
        reader = await self._bus.read(group_of(consumer), topics, dispatcher, member=self._member)
        self._consumers[consumer] = (reader, dispatcher)
        dispatcher.bind(reader)

    def _outbox_row(self, event: Event) -> dict[str, Any]:
        topic, key, headers, value = encode(_traced(event))
        if len(value) > _MOST_BYTES:
            raise TooLarge(f"An event may have {_MOST_BYTES} bytes of data, not {len(value)}.")
        return {
            "tenant": event.tenant,
            "slot": slot_of(key),
            "topic": topic,
            "key": key,
            "headers": headers,
            "value": value.decode(),
            "created_ms": event.time_ms,
        }

    def _wake_relay(self) -> None:
        for relay in self._relays:
            relay.wake()
        if not self._relays or not all(relay.leads for relay in self._relays):
            self._live.notify_soon(outbox_channel())


def _traced(event: Event) -> Event:
    if event.traceparent:
        return event
    traceparent = current_traceparent()
    return msgspec.structs.replace(event, traceparent=traceparent) if traceparent else event
