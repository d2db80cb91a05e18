"""What the dashboard knows: the same reads as the pages of Admin, asked side by side."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from backend.app import Backend
from backend.domain.agents.views import AgentView
from backend.foundation.bus.views import DeadLetterSummary, DeadLetterView
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import AutoWeaveError
from backend.reads.views import ConsumerLag, PartHealth, TopicView

LETTERS = 200
PATIENCE_S = 5.0
"""So long a part may take to answer."""
_NO_ANSWER = "Look whether it runs and is reachable from here; it is asked again."
_UNEXPECTED = "Look at the logs of the web role and the workers; it is asked again."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be read, why, and the next step."""

    part: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLine:
    """A topic; ``per_s`` is how fast it grows, ``None`` at the first look, ``waiting`` the lag of all its consumers."""

    name: str
    partitions: int
    written: int
    per_s: float | None
    waiting: int
    types: tuple[str, ...]
    consumers: tuple[ConsumerLag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of it at a moment (milliseconds since 1970); what could not be read is as it was, and in ``troubles``.

    ``whole_ms`` is when everything could be read.
    """

    at_ms: int
    whole_ms: int = 0
    topics: tuple[TopicLine, ...] = ()
    agents: tuple[AgentView, ...] = ()
    letters: tuple[DeadLetterSummary, ...] = ()
    waiting_letters: int = 0
    parts: tuple[PartHealth, ...] = ()
    troubles: tuple[Trouble, ...] = ()


class Lookout:
    """Looks again and again.

    Args:
        backend: what is asked.
        caller: in whose tenant, with which permissions.
        clock: seconds, for the rates.
        patience_s: how long a part may take to answer.
    """

    def __init__(
        self,
        backend: Backend,
        caller: Caller,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.backend = backend
        self.caller = caller
        self._clock = clock
        self._patience_s = patience_s
        self._written: dict[str, int] = {}
        self._asked_s = 0.0
        self._last = Snapshot(at_ms=0)

    async def look(self) -> Snapshot:
        """Return how everything is now; never raises for a part that is away."""
        last, backend, caller = self._last, self.backend, self.caller
        troubles: list[Trouble] = []

        async def ask(part: str, work: Callable[[], Awaitable[T]], before: T) -> T:
            found = await self._asked(part, work)
            if not isinstance(found, Trouble):
                return found
            troubles.append(found)
            return before

        topics, agents, letters, waiting, parts = await asyncio.gather(
            ask("Topics", self._topics, last.topics),
            ask("Agents", self._agents, last.agents),
            ask("Dead letters", self._letters, last.letters),
            ask("Dead letters", self._waiting_letters, last.waiting_letters),
            ask("Health", lambda: backend.health.view(caller), None),
        )
        now_ms = time.time_ns() // 1_000_000
        self._last = Snapshot(
            at_ms=now_ms,
            whole_ms=last.whole_ms if troubles else now_ms,
            topics=topics,
            agents=agents,
            letters=letters,
            waiting_letters=waiting,
            parts=parts.parts if parts else last.parts,
            troubles=tuple({trouble.message: trouble for trouble in troubles}.values()),
        )
        return self._last

    async def letter(self, number: int) -> DeadLetterView | Trouble:
        """Return a dead letter with what it carries, or why it could not be read; never raises."""
        return await self._asked("Dead letters", lambda: self.backend.dead_letters.one(self.caller, number))

    async def _asked(self, part: str, work: Callable[[], Awaitable[T]]) -> T | Trouble:
        try:
            async with asyncio.timeout(self._patience_s):
                return await work()
        except Exception as error:  # noqa: BLE001 - a dashboard outlives whatever it looks at, and tells of it
            return trouble_of(part, error, self._patience_s)

    async def _topics(self) -> tuple[TopicLine, ...]:
        topics = await self.backend.topics.all(self.caller)
        now_s = self._clock()
        lines = tuple(self._line(topic, now_s - self._asked_s) for topic in topics)
        self._written, self._asked_s = {topic.name: topic.written for topic in topics}, now_s
        return lines

    def _line(self, topic: TopicView, passed_s: float) -> TopicLine:
        before = self._written.get(topic.name)
        # A topic that was made anew counts from zero again.
        per_s = None if before is None else max(0, topic.written - before) / max(passed_s, 0.001)
        return TopicLine(
            name=topic.name,
            partitions=topic.partitions,
            written=topic.written,
            per_s=per_s,
            waiting=sum(consumer.lag for consumer in topic.consumers),
            types=topic.types,
            consumers=topic.consumers,
        )

    async def _agents(self) -> tuple[AgentView, ...]:
        return tuple(await self.backend.agents.list(self.caller))

    async def _letters(self) -> tuple[DeadLetterSummary, ...]:
        return tuple(await self.backend.dead_letters.letters(self.caller, limit=LETTERS))

    async def _waiting_letters(self) -> int:
        counts = await self.backend.dead_letters.counts(self.caller)
        return sum(row.count for row in counts if row.status == "WAITING")


def trouble_of(part: str, error: Exception, patience_s: float = PATIENCE_S) -> Trouble:
    """Return cause and next step of an error."""
    if isinstance(error, AutoWeaveError):
        return Trouble(part, error.message, error.hint)
    if isinstance(error, TimeoutError):
        return Trouble(part, f"{part} did not come within {patience_s:.0f} s.", _NO_ANSWER)
    # Its words may hold what no screen should show.
    return Trouble(part, f"{part} could not be read ({type(error).__name__}).", _UNEXPECTED)
