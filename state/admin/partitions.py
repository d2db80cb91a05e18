"""The partitions of a topic, and from where to where each holds messages."""

from contextlib import aclosing
from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.reads.views import PartitionView
from state.session import looks, part_of_path

EVERY_S = 5.0


class Line(TypedDict):
    """A partition as a line of the list; an empty one has no offsets."""

    number: str
    first: str
    last: str
    held: str


def line_of(partition: PartitionView) -> Line:
    """Return the line of a partition."""
    return Line(number=str(partition.number), first=partition.first, last=partition.last, held=f"{partition.held:,}")


class PartitionsState(rx.State):
    """The partitions of the topic of the address, as they were last asked for."""

    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    numbers: rx.Field[list[str]] = rx.field(default_factory=list)

    @rx.event(background=True)
    async def watch(self):
        """Ask every few seconds. Ends when the tab leaves the address."""
        async with aclosing(looks(self, Permission.BUS_READ, EVERY_S)) as callers:
            async for caller in callers:
                async with self:
                    topic = part_of_path(self, 2)
                try:
                    found = await current().topics.partitions(caller, topic)
                except NotFound:
                    found = []
                except Unavailable:
                    # The events of the page tell of it.
                    continue
                async with self:
                    self.lines = [line_of(partition) for partition in found]
                    self.numbers = [line["number"] for line in self.lines]
