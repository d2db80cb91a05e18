"""Who consumes one topic: each process, what it has of the topic, and how much waits."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import NotFound, Unavailable
from backend.reads.views import ConsumerView
from state.session import looks, part_of_path

EVERY_S = 2.0
MOST = 100
"""Lines that are shown: a process has one for each consumer that it is."""


class Line(TypedDict):
    """A process that consumes, or a consumer that nobody is; ``waiting`` and ``behind`` are the consumer's."""

    consumer: str
    waiting: str
    behind: bool
    member: str
    host: str
    partitions: str


def lines_of(consumer: ConsumerView) -> list[Line]:
    """Return a line for each member of a consumer, or one without a member."""
    members = [
        (member.name, member.host or "unknown", ranges(member.partitions) or "none") for member in consumer.members
    ]
    return [
        Line(
            consumer=consumer.name,
            waiting=f"{consumer.lag:,}",
            behind=consumer.lag > 0,
            member=name,
            host=host,
            partitions=partitions,
        )
        for name, host, partitions in members or [("", "", "")]
    ]


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers in words, neighbours together: ``0-3, 6``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


class ConsumersState(rx.State):
    """The consumers of the topic in the address, as they were last asked for."""

    topic: str = ""
    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)

    @rx.event(background=True)
    async def watch_consumers(self):
        """Ask now and every other second. Ends when the tab leaves the page."""
        async with self:
            topic = part_of_path(self, 2)
            if topic != self.topic:
                self.topic, self.loaded, self.lines = topic, False, []
        async with aclosing(looks(self, Permission.BUS_READ, EVERY_S)) as callers:
            async for caller in callers:
                try:
                    consumers = await current().topics.consumers(caller, topic)
                except Unavailable:
                    # The last answer stays; the events below say that the bus is away.
                    continue
                except NotFound:
                    async with self:
                        self.loaded = True
                    return
                lines = [line for consumer in consumers for line in lines_of(consumer)][:MOST]
                async with self:
                    self.loaded, self.lines = True, lines
