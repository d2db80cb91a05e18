"""`Dispatcher`: what every consumer promises, whatever the broker.

Deliveries of one key are handled one after the other, those of different keys at the same time; a position is committed
once everything before it is done; a failed key waits by itself; too much at once pauses the partition.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from backend.foundation.bus import rules
from backend.foundation.bus.errors import Hopeless
from backend.foundation.bus.ports import Delivery, Partition, Reader
from backend.foundation.bus.rules import Retries, is_outage, wait_s
from backend.foundation.bus.service.commits import Commits
from backend.foundation.bus.service.progress import Item, Progress
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.metrics import BUS_EVENTS

log = get_logger("bus")

_PAUSE_AT, _RESUME_AT = 1_000, 400
_PAUSE_AT_BEHIND, _RESUME_AT_BEHIND = 20_000, 10_000
"""As many may be done behind one that waits: so long it holds up nobody but its key."""
_PAUSE_AT_BYTES, _RESUME_AT_BYTES = 8 * 1024 * 1024, 3 * 1024 * 1024
_DRAIN_S = 4.0
_AFTER_FAULT_S = 1.0
_FEW, _LINGER_S = 32, 0.004


class HandlerFailed(Exception):
    """A handler raised for one event of a batch; the cause is chained."""

    def __init__(self, event: Event, cause: Exception) -> None:
        super().__init__(str(cause))
        self.event = event
        self.cause = cause


class Work(Protocol):
    """What a consumer does with deliveries."""

    batch: int
    """The most events of one `do`."""

    def event_of(self, delivery: Delivery) -> Event | None:
        """Return the event, or ``None`` for a type that the consumer does not want; what raises is buried."""
        ...

    async def do(self, events: Sequence[Event]) -> None:
        """Do them all, or none and raise: `HandlerFailed` names the culprit, an outage (`rules`) blames nobody."""
        ...

    async def bury(self, delivery: Delivery, event: Event | None, error: Exception, attempts: int) -> None:
        """Keep what cannot be done where a person finds it."""
        ...


class _Lane:
    """The deliveries of one key that wait. ``alone`` of them were in a batch that failed: they go one by one."""

    __slots__ = ("alone", "items", "key", "taken")

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        self.items: deque[Item] = deque()
        self.taken: list[Item] = []
        self.alone = 0


class Dispatcher:
    """The `Sink` of a consumer.

    Args:
        consumer: its name, for the log and the metrics.
        work: what it does.
        workers: how many batches (or single events, where a batch is one) are at work at the same time.
        retries: what is done about a handler that fails, by default `rules.RETRIES`.
    """

    def __init__(self, consumer: str, work: Work, *, workers: int, retries: Retries | None = None) -> None:
        self._retries = retries or rules.RETRIES
        self._work = work
        self._most_workers = workers
        self._workers: set[asyncio.Task[None]] = set()
        self._progress: dict[Partition, Progress] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._reader: Reader | None = None
        self._commits = Commits()
        self._outages = 0
        self._log = log.bind(consumer=consumer)
        self._retried = BUS_EVENTS.labels(consumer, "retried")
        self._dead = BUS_EVENTS.labels(consumer, "dead")

    def bind(self, reader: Reader) -> None:
        """Name the reader that calls this sink."""
        self._reader = reader
        self._commits.bind(reader)
        reader.pause([partition for partition, progress in self._progress.items() if progress.paused])

    async def close(self) -> None:
        """End what is still at work; call it after the reader has stopped."""
        await self._commits.close()
        for task in self._workers:
            task.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._progress[partition] = Progress(partition)

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        leaving = [progress for partition in partitions if (progress := self._progress.get(partition))]
        for progress in leaving:
            progress.leaving = True
        try:
            async with asyncio.timeout(_DRAIN_S):
                for progress in leaving:
                    await progress.idle()
        except TimeoutError:
            self._log.warning("partitions given away while events are at work")
        try:
            await self._commits.flush()
        except Unavailable as error:
            self._log.warning("partitions given away without their last positions", error=error.message)
        await self.lost(partitions)

    async def lost(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            progress = self._progress.pop(partition, None)
            if progress is not None:
                progress.leaving = progress.closed = True
            self._commits.forget(partition)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        touched: set[Progress] = set()
        lanes = self._lanes
        for delivery in deliveries:
            progress = self._progress.get(delivery.partition)
            if progress is None:
                continue
            key = (delivery.partition.topic, delivery.message.key)
            lane = lanes.get(key)
            if lane is None:
                lane = lanes[key] = _Lane(key)
                self._ready.append(lane)
            lane.items.append(progress.add(delivery))
            touched.add(progress)
        for progress in touched:
            self._pause_if_full(progress)
        self._start_workers()

    def _pause_if_full(self, progress: Progress) -> None:
        full = progress.open >= _PAUSE_AT or progress.bytes >= _PAUSE_AT_BYTES
        if (full or len(progress.items) >= _PAUSE_AT_BEHIND) and not progress.paused:
            progress.paused = True
            if self._reader is not None:
                self._reader.pause([progress.partition])

    def _resume_if_low(self, progress: Progress) -> None:
        low = progress.open <= _RESUME_AT and progress.bytes <= _RESUME_AT_BYTES
        if progress.paused and low and len(progress.items) <= _RESUME_AT_BEHIND and not progress.leaving:
            progress.paused = False
            if self._reader is not None:
                self._reader.resume([progress.partition])

    def _start_workers(self) -> None:
        for _ in range(min(len(self._ready), self._most_workers - len(self._workers))):
            task = asyncio.create_task(self._run_worker(), name="bus-worker")
            self._workers.add(task)
            task.add_done_callback(self._worker_ended)

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._log.error("a worker broke off, another goes on", error=repr(error))
            self._start_workers()

    async def _run_worker(self) -> None:
        while self._ready:
            lanes = self._gather()
            if lanes:
                await self._handle(lanes)
            if self._work.batch > 1 and len(lanes) < _FEW:
                # What comes within a moment goes together, since each batch costs a transaction.
                await asyncio.sleep(_LINGER_S)

    def _gather(self) -> list[_Lane]:
        """Take lanes with together one batch of events, or one lane whose next event goes alone."""
        lanes: list[_Lane] = []
        room = self._work.batch
        while self._ready and room > 0:
            lane = self._ready.popleft()
            if lane.alone and lanes:
                self._ready.appendleft(lane)
                break
            self._take(lane, room)
            if lane.alone and lane.taken and lanes:
                # Only now that it is decoded it is known to go alone.
                self._put_back(lane)
                self._ready.appendleft(lane)
                break
            if lane.taken:
                lanes.append(lane)
                room -= len(lane.taken)
            else:
                self._release(lane)
            if lane.alone:
                break
        return lanes

    def _take(self, lane: _Lane, room: int) -> None:
        while lane.items and len(lane.taken) < (1 if lane.alone else room):
            item = lane.items[0]
            if not item.progress.leaving and self._decode(item):
                if item.fault is not None and lane.taken:
                    return
                lane.alone = max(lane.alone, int(item.fault is not None))
                lane.taken.append(item)
            elif lane.alone:
                lane.alone -= 1
            lane.items.popleft()

    def _decode(self, item: Item) -> bool:
        """Fill in the event, or the fault; return False when the consumer does not want it, which makes it done."""
        if item.event is None and item.fault is None:
            try:
                item.event = self._work.event_of(item.delivery)
            except Exception as error:  # noqa: BLE001 - whatever a message does to us, those behind it go on
                item.fault = error
                return True
            if item.event is None:
                self._finish([item])
                return False
        return True

    async def _handle(self, lanes: list[_Lane]) -> None:
        items = [item for lane in lanes for item in lane.taken]
        for item in items:
            item.progress.busy += 1
        wait = _AFTER_FAULT_S
        try:
            wait = await self._attempt(lanes, items)
        finally:
            for item in items:
                item.progress.end_one()
            for lane in lanes:
                self._put_back(lane)
                self._release(lane, wait)

    async def _attempt(self, lanes: list[_Lane], items: list[Item]) -> float:
        """Do the items; return the seconds that those which are not done have to wait."""
        single = items[0]
        if single.fault is not None:
            return await self._bury(single, single.fault)
        try:
            await self._work.do([item.event for item in items if item.event is not None])
        except Exception as error:  # noqa: BLE001 - whatever a handler raises concerns its events, not the loop
            return await self._failed(lanes, items, error)
        self._outages = 0
        self._finish(items)
        return 0.0

    async def _failed(self, lanes: list[_Lane], items: list[Item], error: Exception) -> float:
        cause = error.cause if isinstance(error, HandlerFailed) else error
        if is_outage(cause):
            self._outages += 1
            self._log.warning("a part is down, events wait", error=str(cause))
            return wait_s(self._outages)
        culprits = [item for item in items if isinstance(error, HandlerFailed) and item.event is error.event]
        for item in culprits or (items if len(items) == 1 else ()):
            item.attempts += 1
        if len(items) > 1:
            for lane in lanes:
                lane.alone = len(lane.taken)
            return 0.0
        return await self._failed_alone(items[0], cause)

    async def _failed_alone(self, item: Item, cause: Exception) -> float:
        if isinstance(cause, Hopeless):
            reason = cause.__cause__
            return await self._bury(item, reason if isinstance(reason, Exception) else cause)
        if item.attempts >= self._retries.attempts:
            return await self._bury(item, cause)
        self._retried.inc()
        fields = {"type": item.event.type, "event_id": item.event.id} if item.event else {}
        self._log.warning("handler failed, will try again", attempts=item.attempts, error=repr(cause), **fields)
        return self._retries.wait_s(item.attempts)

    async def _bury(self, item: Item, cause: Exception) -> float:
        try:
            await self._work.bury(item.delivery, item.event, cause, max(1, item.attempts))
        except Exception as error:  # noqa: BLE001 - it must not be lost, so it waits until it can be buried
            self._outages += 1
            self._log.warning("dead letter not stored, will try again", error=repr(error))
            return wait_s(self._outages)
        self._dead.inc()
        self._log.error("event given up", attempts=item.attempts, error=repr(cause), offset=item.delivery.offset)
        self._finish([item])
        return 0.0

    def _finish(self, items: Sequence[Item]) -> None:
        touched: set[Progress] = set()
        for item in items:
            item.finish()
            touched.add(item.progress)
        for progress in touched:
            offset = progress.advance()
            if offset and not progress.closed:
                self._commits.put(progress.partition, offset)
            self._resume_if_low(progress)

    def _put_back(self, lane: _Lane) -> None:
        for item in reversed(lane.taken):
            if not item.done:
                lane.items.appendleft(item)
            elif lane.alone:
                lane.alone -= 1
        lane.taken = []

    def _release(self, lane: _Lane, wait: float = 0.0) -> None:
        if not lane.items:
            del self._lanes[lane.key]
        elif wait:
            asyncio.get_running_loop().call_later(wait, self._ready_again, lane)
        else:
            self._ready.append(lane)

    def _ready_again(self, lane: _Lane) -> None:
        self._ready.append(lane)
        self._start_workers()
