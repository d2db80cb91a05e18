"""How far each partition is: what is at work, and up to where everything is done."""

import asyncio
from collections import deque

from backend.foundation.bus.ports import Delivery, Partition
from backend.foundation.events.envelope import Event


class Item:
    """A delivery at work. ``event`` is filled when its turn comes, or ``fault`` when it cannot be decoded."""

    __slots__ = ("attempts", "delivery", "done", "event", "fault", "progress")

    def __init__(self, delivery: Delivery, progress: "Progress") -> None:
        self.delivery = delivery
        self.progress = progress
        self.event: Event | None = None
        self.fault: Exception | None = None
        self.attempts = 0
        self.done = False


class Progress:
    """A partition while it is owned.

    Attributes:
        partition: which.
        leaving: it is revoked or lost; nothing more of it begins, and nothing of it is read any more.
        closed: it is another's; nothing of it is committed any more.
        paused: the reader was asked to deliver no more for now.
        items: the deliveries that are not committable yet, in the order of the partition.
        bytes: the size of their data.
        busy: how many of them are at work.
    """

    __slots__ = ("_idle", "busy", "bytes", "closed", "items", "leaving", "partition", "paused")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.leaving = False
        self.closed = False
        self.paused = False
        self.items: deque[Item] = deque()
        self.bytes = 0
        self.busy = 0
        self._idle = asyncio.Event()

    def add(self, delivery: Delivery) -> Item:
        """Take note of a delivery."""
        item = Item(delivery, self)
        self.items.append(item)
        self.bytes += len(delivery.message.value)
        return item

    def advance(self) -> str:
        """Forget what is done without a gap before it; return the offset of the last of it, or an empty string."""
        items = self.items
        offset = ""
        while items and items[0].done:
            delivery = items.popleft().delivery
            self.bytes -= len(delivery.message.value)
            offset = delivery.offset
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
