"""How far each partition is: what is at work, and up to where everything is done."""

import asyncio
from collections import deque

from backend.foundation.bus.ports import Delivery, Partition
from backend.foundation.events.envelope import Event


class Item:
    """A delivery at work. ``event`` is filled when its turn comes, or ``fault`` when it cannot be decoded."""

    __slots__ = ("_delivery", "attempts", "done", "event", "fault", "offset", "progress")

    def __init__(self, delivery: Delivery, progress: "Progress") -> None:
        self._delivery: Delivery | None = delivery
        self.offset = delivery.offset
        self.progress = progress
        self.event: Event | None = None
        self.fault: Exception | None = None
        self.attempts = 0
        self.done = False

    @property
    def delivery(self) -> Delivery:
        """What was read; there until it is done."""
        if self._delivery is None:
            raise LookupError("What is done is not kept.")
        return self._delivery

    def finish(self) -> None:
        """It is done: all that is still needed is where it stood."""
        self.progress.open -= 1
        self.progress.bytes -= len(self.delivery.message.value)
        self.done, self.event, self._delivery = True, None, None


class Progress:
    """A partition while it is owned.

    Attributes:
        partition: which.
        leaving: it is revoked or lost; nothing more of it begins, and nothing of it is read any more.
        closed: it is another's; nothing of it is committed any more.
        paused: the reader was asked to deliver no more for now.
        items: the deliveries that are not committable yet, in the order of the partition: some may be done.
        open: how many of them are not done.
        bytes: the size of the data of those.
        busy: how many of them are at work.
    """

    __slots__ = ("_idle", "busy", "bytes", "closed", "items", "leaving", "open", "partition", "paused")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.leaving = False
        self.closed = False
        self.paused = False
        self.items: deque[Item] = deque()
        self.open = 0
        self.bytes = 0
        self.busy = 0
        self._idle = asyncio.Event()

    def add(self, delivery: Delivery) -> Item:
        """Take note of a delivery."""
        item = Item(delivery, self)
        self.items.append(item)
        self.open += 1
        self.bytes += len(delivery.message.value)
        return item

    def advance(self) -> str:
        """Forget what is done without a gap before it; return the offset of the last of it, or an empty string."""
        items = self.items
        offset = ""
        while items and items[0].done:
            offset = items.popleft().offset
        return offset

    def end_one(self) -> None:
        """One of its items is no longer at work, done or not."""
        self.busy -= 1
        if not self.busy and self.leaving:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing of it is at work; call it once it is leaving."""
        if self.busy:
            await self._idle.wait()
