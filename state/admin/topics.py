"""The topics of the bus, and how fast they grow."""

import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TypedDict

import reflex as rx

from backend.app import current
from backend.foundation.kernel.caller import Permission
from backend.foundation.kernel.errors import Unavailable
from backend.reads.views import TopicView
from state.notices import NO_PROBLEM, Problem, problem_of
from state.session import looks

EVERY_S = 2.0
PATH = "/admin/topics"


class Line(TypedDict):
    """A topic as a line of the list; ``rate``, ``kept`` and ``lag`` are in words, ``behind`` says if a consumer is."""

    name: str
    types: str
    consumers: str
    partitions: int
    written: str
    rate: str
    kept: str
    lag: str
    behind: bool


class Difference(TypedDict):
    """In what some topics are not as the settings want them, and the command that changes it."""

    words: str
    topics: str
    command: str


def rate_of(per_s: float | None) -> str:
    """Return a rate in words; nothing while it is not known."""
    return "" if per_s is None else f"{per_s:,.1f} / s" if per_s < 10 else f"{per_s:,.0f} / s"


def line_of(topic: TopicView, per_s: float | None) -> Line:
    """Return the line of a topic that grows by ``per_s`` messages a second, ``None`` while that is not known."""
    lag = sum(consumer.lag for consumer in topic.consumers)
    return Line(
        name=topic.name,
        types=", ".join(topic.types),
        consumers=", ".join(consumer.name for consumer in topic.consumers) or "none",
        partitions=topic.partitions,
        written=f"{topic.written:,}",
        rate=rate_of(per_s),
        kept=topic.kept or "not made yet",
        lag=f"{lag:,}",
        behind=lag > 0,
    )


def differences_of(topics: Sequence[TopicView]) -> list[Difference]:
    """Return what differs, once each with all the topics in which it does."""
    found: dict[tuple[str, str], list[str]] = {}
    for topic in topics:
        for each in topic.differences:
            found.setdefault((each.what, each.command), []).append(topic.name)
    return [
        Difference(words=words, topics=", ".join(names), command=command) for (words, command), names in found.items()
    ]


class TopicsState(rx.State):
    """The list, as it was last asked for; ``written`` is what each topic held then, and ``asked_s`` when that was.

    While the bus is away ``problem`` says so, over what was known before.
    """

    loaded: bool = False
    lines: rx.Field[list[Line]] = rx.field(default_factory=list)
    differences: rx.Field[list[Difference]] = rx.field(default_factory=list)
    problem: Problem = NO_PROBLEM
    _written: rx.Field[dict[str, int]] = rx.field(default_factory=dict)
    _asked_s: float = 0.0

    @rx.event(background=True)
    async def watch(self):
        """Ask for the topics every other second; rates are counted from the first time on. Ends with the page."""
        async with self:
            self._written, self._asked_s = {}, 0.0
        async with aclosing(looks(self, Permission.HEALTH_READ, EVERY_S)) as callers:
            async for caller in callers:
                try:
                    topics, problem = await current().topics.all(caller), NO_PROBLEM
                except Unavailable as error:
                    topics, problem = None, problem_of(error)
                async with self:
                    self.problem = problem
                    if topics is not None:
                        self._show(topics)

    def _show(self, topics: Sequence[TopicView]) -> None:
        before, since_s = self._written, time.monotonic() - self._asked_s
        self._asked_s = time.monotonic()
        self._written = {topic.name: topic.written for topic in topics}
        self.lines = [
            line_of(topic, (topic.written - before[topic.name]) / since_s if topic.name in before else None)
            for topic in topics
        ]
        self.differences = differences_of(topics)
        self.loaded = True
