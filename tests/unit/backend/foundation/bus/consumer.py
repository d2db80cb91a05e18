"""Doubles for the dispatcher: a reader that remembers, and work that a test steers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from backend.foundation.bus.ports import Delivery, Message, Partition
from backend.foundation.bus.rules import Retries
from backend.foundation.bus.service.dispatch import Dispatcher, HandlerFailed
from backend.foundation.events.codec import Undecodable
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.errors import Fenced
from backend.foundation.kernel.ids import TenantId

TYPE = "agents.start_run.v1"
ZERO, ONE = Partition("aw.agents", 0), Partition("aw.agents", 1)


class Reader:
    """The `Reader` port: keeps what was committed, and refuses partitions that it was told to."""

    def __init__(self) -> None:
        self.committed: dict[Partition, str] = {}
        self.paused: set[Partition] = set()
        self.foreign: set[Partition] = set()
        self.stopped = False

    async def commit(self, positions: Mapping[Partition, str]) -> None:
        if self.foreign & positions.keys():
            raise Fenced("Another owns it.")
        self.committed.update(positions)

    def pause(self, partitions: Sequence[Partition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        self.paused.difference_update(partitions)

    async def stop(self) -> None:
        self.stopped = True


class Work:
    """Does what the test says with each event, named ``<key><number>``."""

    def __init__(self, batch: int, handle: Callable[[str], Awaitable[None]]) -> None:
        self.batch = batch
        self.handle = handle
        self.done: list[str] = []
        self.tries: Counter[str] = Counter()
        self.batches: list[list[str]] = []
        self.buried: dict[str, tuple[Exception, int]] = {}
        self.bury_fails: list[Exception] = []
        self.commit_fails: list[Exception] = []

    def event_of(self, delivery: Delivery) -> Event | None:
        name = f"{delivery.message.key}{delivery.message.value.decode().strip()}"
        if "unwanted" in delivery.message.headers:
            return None
        if "broken" in delivery.message.headers:
            raise Undecodable("It is broken.")
        data = StartRun(agent="a", input=name)
        return Event(type=TYPE, tenant=TenantId("t"), key=delivery.message.key, data=data, source="/t", id=name)

    async def do(self, events: Sequence[Event]) -> None:
        names = [event.id for event in events]
        self.batches.append(names)
        for event in events:
            self.tries[event.id] += 1
            try:
                await self.handle(event.id)
            except Exception as error:
                raise HandlerFailed(event, error) from error
        if self.commit_fails:
            raise self.commit_fails.pop(0)
        self.done += names

    async def bury(self, delivery: Delivery, event: Event | None, error: Exception, attempts: int) -> None:
        if self.bury_fails:
            raise self.bury_fails.pop(0)
        self.buried[f"{delivery.message.key}{delivery.message.value.decode()}"] = (error, attempts)


class Consumer:
    """A dispatcher between the two."""

    def __init__(
        self,
        handle: Callable[[str], Awaitable[None]],
        *,
        batch: int = 1,
        workers: int = 8,
        retries: Retries | None = None,
    ) -> None:
        self.work = Work(batch, handle)
        self.reader = Reader()
        self.dispatcher = Dispatcher("test", self.work, workers=workers, retries=retries)
        self._offsets: Counter[Partition] = Counter()

    async def own(self, *partitions: Partition) -> None:
        await self.dispatcher.assigned(partitions)
        self.dispatcher.bind(self.reader)

    def deliver(self, *names: str, at: Partition = ZERO, size: int = 0, **headers: str) -> None:
        """Deliver messages: the first letter is the key, the rest the value; offsets count from 1."""
        deliveries: list[Delivery] = []
        for name in names:
            self._offsets[at] += 1
            value = name[1:].encode().ljust(size)
            message = Message(at.topic, name[0], headers, value)
            deliveries.append(Delivery(message, at, str(self._offsets[at]), 0))
        self.dispatcher.deliver(deliveries)


async def nothing(_name: str) -> None:
    """Handle an event without effect."""


async def turns(count: int = 20) -> None:
    """Let everything run that can run now."""
    for _ in range(count):
        await asyncio.sleep(0)
