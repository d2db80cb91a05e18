"""`Relay`: from the outbox to the broker, in the order of the keys.

One relay serves a shard at a time, by a lease with an epoch in the database: what an earlier one still marks as sent is
refused. What it still publishes are copies of what its successor publishes too, so no order is broken and receivers
deduplicate. The scan asks for what is unsent, never for what is beyond an id: PostgreSQL's ids commit out of order.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.bus import repository
from backend.foundation.bus.ports import Bus, Delivery, Message, Partition
from backend.foundation.bus.rules import fitting, wait_s
from backend.foundation.bus.service.cleaning import KEEP_SENT_MS, clean_forever
from backend.foundation.bus.service.lease import ShardLease
from backend.foundation.bus.service.work import dead_letter
from backend.foundation.kernel.errors import Fenced, NotFound, Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.outage import Outage
from backend.foundation.kernel.ports import Database
from backend.foundation.live.rules import outbox_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.metrics import BUS_OUTBOX, BUS_PUBLISHED

log = get_logger("bus")

_BATCH, _LARGE = 500, 8
"""So many events are sent at once, and so many large ones of them: a batch is held in memory."""
_POLL_S = 1.0
_STANDBY_S = 2.0
_FINISH_S = 5.0
_LINGER_S = 0.008
_LOSS_WINDOW_MS = 5_000
_MOST_ATTEMPTS = 8
_MOST_BLOCKED = 1_000
_MADE_S = 10.0
_LEASE_GIVEN = b"lease"


@dataclass(slots=True)
class _Blocked:
    """A key whose event was refused: how often, and until when it waits (by the monotonic clock)."""

    attempts: int
    until: float


class Relay:
    """Publishes what waits in one shard of the outbox, for as long as `run` runs.

    Args:
        db: where the outbox is.
        bus: where events go.
        live: wakes the relay when something was committed.
        owner: this process, for people who look at the lease.
        shard: which part of the keys it serves.
        shards: how many parts there are.
        make_topic: makes a topic that is gone, and says whether it is one of ours.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        live: Live,
        *,
        owner: str,
        make_topic: Callable[[str], Awaitable[bool]],
        shard: int = 0,
        shards: int = 1,
    ) -> None:
        self._db = db
        self._bus = bus
        self._live = live
        self._shard = shard
        self._shards = shards
        self._make_topic = make_topic
        self._made_at: dict[str, float] = {}
        self._lease = ShardLease(db, owner=owner, shard=shard)
        self._blocked: dict[str, _Blocked] = {}
        self._wake = asyncio.Event()
        self._lease_given = asyncio.Event()
        self._down_since: float | None = None
        self._sent_again = 0
        self._outage = Outage(log, fails="relay waits", works="relay goes on after an outage")

    @property
    def leads(self) -> bool:
        """Whether this relay holds the lease, so that it need not be woken over the network."""
        return bool(self._lease.epoch)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def run(self) -> None:
        """Relay until cancelled, then give the lease back."""
        helpers = [asyncio.create_task(self._listen()), asyncio.create_task(clean_forever(self._db))]
        try:
            while True:
                await self._turn()
        finally:
            for task in helpers:
                task.cancel()
            await self._lease.give_back()
            self._live.notify_soon(outbox_channel(), _LEASE_GIVEN)

    async def _turn(self) -> None:
        self._wake.clear()
        self._lease_given.clear()
        try:
            if not await self._lease.hold():
                self._outage.ended(relays="another process")
                await self._rest(self._lease_given, _STANDBY_S)
                return
            await self._send_again_after_outage()
            full = await self._whole(self._relay_batch())
            self._outage.ended(sent_again=self._sent_again)
            self._sent_again = 0
        except Fenced:
            self._lease.lose()
            return
        except Unavailable as error:
            self._outage.failed(error.message)
            await asyncio.sleep(wait_s(self._outage.failures))
            return
        if not full:
            # What is committed within a moment goes in one batch, since each costs a transaction.
            await asyncio.sleep(_LINGER_S)
            due = min((state.until for state in self._blocked.values()), default=0.0)
            await self._rest(self._wake, min(_POLL_S, due - time.monotonic()) if due else _POLL_S)

    async def _whole(self, batch: Coroutine[None, None, bool]) -> bool:
        """Finish what was begun, also when cancelled: what is published and not marked would go twice."""
        task = asyncio.create_task(batch)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([task], timeout=_FINISH_S)
            if done and not task.cancelled() and (error := task.exception()):
                # What it could not send waits in the outbox.
                log.info("relay stops with events unsent", error=str(error))
            raise

    async def _rest(self, wake: asyncio.Event, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s * random.uniform(0.7, 1.0)):  # noqa: S311 - jitter
                await wake.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        while True:
            try:
                async with self._live.listen(outbox_channel()) as notices:
                    async for notice in notices:
                        (self._lease_given if notice.payload == _LEASE_GIVEN else self._wake).set()
            except Unavailable:
                # Polling goes on meanwhile.
                await asyncio.sleep(_POLL_S)

    async def _send_again_after_outage(self) -> None:
        if self._down_since is None:
            return
        health = await self._bus.health()
        if not health.ok:
            raise Unavailable(health.cause, hint=health.fix)
        age_ms = int((time.monotonic() - self._down_since) * 1000) + _LOSS_WINDOW_MS
        hit("bus.again.before")
        async with self._db.system_write() as session:
            self._sent_again += await repository.send_again(session, age_ms=age_ms)
        hit("bus.again.after")
        self._down_since = None

    async def _made_again(self, topic: str) -> bool:
        # One that is refused right after it was made is refused for another reason.
        if time.monotonic() - self._made_at.get(topic, -_MADE_S) < _MADE_S:
            return False
        self._made_at[topic] = time.monotonic()
        return await self._make_topic(topic)

    async def _send_again_to(self, topics: Sequence[str]) -> None:
        """Fill topics that somebody deleted: what was in them and is not done yet would be lost."""
        async with self._db.system_write() as session:
            count = await repository.send_again(session, age_ms=KEEP_SENT_MS, topics=topics)
        log.warning("topics were gone, their events are sent again", topics=", ".join(topics), events=count)

    async def _relay_batch(self) -> bool:
        """Publish the next events; return whether more may wait."""
        now = time.monotonic()
        blocked = [key for key, state in self._blocked.items() if state.until > now]
        async with self._db.system_read() as session:
            rows = await repository.unsent(
                session, shard=self._shard, shards=self._shards, blocked=blocked, limit=_BATCH
            )
            found, rows = len(rows), rows[: fitting([row.value is None for row in rows], most=_LARGE)]
            messages = await self._messages(session, rows)
        if not rows:
            return False
        hit("bus.publish.before")
        results = await self._publish(messages)
        hit("bus.publish.after")
        gone = {message.topic for message, error in zip(messages, results, strict=True) if isinstance(error, NotFound)}
        if made := [topic for topic in sorted(gone) if await self._made_again(topic)]:
            await self._send_again_to(made)
            return True
        await self._record(rows, messages, results)
        return len(rows) < found or found == _BATCH

    async def _messages(self, session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Message]:
        large = [row.id for row in rows if row.value is None]
        values = await repository.values_of(session, large) if large else {}
        if len(values) < len(large):
            raise Fenced("Another relay has sent what this one read, and it is cleaned away.")
        return [
            Message(topic, key, headers, (values[id_] if value is None else value).encode())
            for id_, topic, key, headers, value in rows
        ]

    async def _publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        try:
            results = await self._bus.publish(messages)
        except Unavailable:
            self._down_since = self._down_since or time.monotonic()
            raise
        if any(isinstance(result, Unavailable) for result in results):
            self._down_since = self._down_since or time.monotonic()
        return results

    async def _record(
        self, rows: Sequence[Row[Any]], messages: Sequence[Message], results: Sequence[Exception | None]
    ) -> None:
        sent: list[int] = []
        dead: list[dict[str, Any]] = []
        down: Unavailable | None = None
        for row, message, error in zip(rows, messages, results, strict=True):
            if error is None:
                sent.append(row[0])
                if self._blocked:
                    self._blocked.pop(row.key, None)
            elif isinstance(error, Unavailable):
                down = error
            elif self._refused(row.key, error) >= _MOST_ATTEMPTS:
                delivery = Delivery(message, Partition(row.topic, -1), str(row.id), 0)
                dead.append(dead_letter("relay", delivery, None, error, _MOST_ATTEMPTS))
                sent.append(row.id)
                del self._blocked[row.key]
        if sent:
            async with self._db.system_write() as session:
                if dead:
                    await repository.insert_dead(session, dead)
                if not await repository.mark_sent(session, self._lease.name, self._lease.epoch, sent):
                    raise Fenced("Another relay serves this shard now.")
            hit("bus.sent.after")
        self._count(messages, results)
        if down is not None:
            raise down

    def _refused(self, key: str, error: Exception) -> int:
        if len(self._blocked) >= _MOST_BLOCKED:
            raise Unavailable(f"The broker refuses the events of {_MOST_BLOCKED} keys, the last time so: {error}")
        state = self._blocked.setdefault(key, _Blocked(0, 0.0))
        if state.until <= time.monotonic():
            state.attempts += 1
            state.until = time.monotonic() + wait_s(state.attempts)
            log.warning("event refused, its key waits", attempts=state.attempts, error=repr(error))
        return state.attempts

    def _count(self, messages: Sequence[Message], results: Sequence[Exception | None]) -> None:
        topics = Counter(message.topic for message, error in zip(messages, results, strict=True) if error is None)
        for topic, count in topics.items():
            BUS_PUBLISHED.labels(topic).inc(count)
            BUS_OUTBOX.labels("sent").inc(count)
        if len(messages) > topics.total():
            BUS_OUTBOX.labels("failed").inc(len(messages) - topics.total())
