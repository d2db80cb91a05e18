"""The room's consumer on a real bus, with work that a test steers."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence

from backend.foundation.bus.ports import Bus, Delivery, Message, Partition, Reader
from backend.foundation.bus.service.dispatch import Dispatcher, HandlerFailed
from backend.foundation.events.codec import decode, encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import TenantId

TOPIC = "aw.agents"
TYPE = "agents.start_run.v1"
Handle = Callable[[str, str], Awaitable[None]]


class Record:
    """What all members of a group did together."""

    def __init__(self) -> None:
        self.handled: dict[str, list[str]] = defaultdict(list)
        self.running: Counter[str] = Counter()
        self.most_keys = 0
        self.overlaps = 0
        self.buried: list[tuple[str, int, Delivery]] = []

    @property
    def count(self) -> int:
        return sum(map(len, self.handled.values()))

    def fresh(self) -> dict[str, list[str]]:
        """What was handled by each key, without repetitions: a receiver deduplicates by event id."""
        return {key: list(dict.fromkeys(values)) for key, values in self.handled.items()}


class _Work:
    def __init__(self, record: Record, handle: Handle, batch: int) -> None:
        self.batch = batch
        self._record = record
        self._handle = handle

    def event_of(self, delivery: Delivery) -> Event | None:
        return decode(delivery.message.headers, delivery.message.value, delivery.message.key)

    async def do(self, events: Sequence[Event]) -> None:
        for event in events:
            try:
                await self._do(event)
            except Exception as error:
                raise HandlerFailed(event, error) from error
        for event in events:
            assert isinstance(event.data, StartRun)
            self._record.handled[event.key].append(event.data.input)

    async def _do(self, event: Event) -> None:
        assert isinstance(event.data, StartRun)
        record = self._record
        record.running[event.key] += 1
        record.overlaps += record.running[event.key] > 1
        record.most_keys = max(record.most_keys, sum(map(bool, record.running.values())))
        try:
            await self._handle(event.key, event.data.input)
        finally:
            record.running[event.key] -= 1

    async def bury(self, delivery: Delivery, event: Event | None, error: Exception, attempts: int) -> None:
        assert event is not None
        assert isinstance(event.data, StartRun)
        self._record.buried.append((event.data.input, attempts, delivery))


class Consumer:
    """A member: a `Dispatcher` as the sink of a reader, with every call to it counted."""

    def __init__(self, record: Record, handle: Handle, *, batch: int = 1, workers: int = 64) -> None:
        self.dispatcher = Dispatcher("contract", _Work(record, handle, batch), workers=workers)
        self.calls: list[str] = []
        self.owned: set[Partition] = set()
        self.delivered = 0
        self._reader: Reader | None = None

    async def join(self, bus: Bus, member: str) -> None:
        self._reader = await bus.read("aw.contract", [TOPIC], self, member=member)
        self.dispatcher.bind(self._reader)

    async def leave(self) -> None:
        assert self._reader is not None
        await self._reader.stop()
        await self.dispatcher.close()

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        self.calls.append("assigned")
        self.owned |= set(partitions)
        await self.dispatcher.assigned(partitions)

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        self.calls.append("revoked")
        await self.dispatcher.revoked(partitions)
        self.owned -= set(partitions)

    async def lost(self, partitions: Sequence[Partition]) -> None:
        self.calls.append("lost")
        await self.dispatcher.lost(partitions)
        self.owned -= set(partitions)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        self.delivered += len(deliveries)
        self.dispatcher.deliver(deliveries)


async def emit(bus: Bus, keys: Sequence[str], numbers: Sequence[int]) -> None:
    """Publish one event a key and number, in the order of the numbers."""
    events = [_event(key, f"{key}-{number}") for number in numbers for key in keys]
    assert set(await bus.publish([Message(*encode(event)) for event in events])) <= {None}


def _event(key: str, text: str) -> Event:
    data = StartRun(agent="greeter", input=text)
    return Event(type=TYPE, tenant=TenantId("ten_contract"), key=key, source="/contract", data=data, id=text)


class Gate:
    """A handler that waits for those keys which are held, and yields once for the others."""

    def __init__(self, *held: str) -> None:
        self.held = set(held)
        self.waiting: set[str] = set()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, key: str, _text: str) -> None:
        if key in self.held:
            self.waiting.add(key)
            await self._open.wait()
        await asyncio.sleep(0)
