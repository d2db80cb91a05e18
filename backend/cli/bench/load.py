"""What is sent: how much, how fast, and which event is due when."""

from array import array
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import msgspec

from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import TenantId

ASK, REPLY = "agents.start_run.v1", "flows.run_finished.v1"
HANDLER, ASKER = "bench", "bench-replies"
TENANT = TenantId("ten_bench")

_MOST_PER_S = 200_000
_MOST_S = 24 * 3_600
_MOST_KEYS = 1_000_000
_MOST_BYTES = 512 * 1024
_MOST_EVENTS = 50_000_000


class Mode(StrEnum):
    """How far an event is followed."""

    HANDLED = "handled"
    REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """An open loop: event ``n`` is due ``n / rate`` seconds after the start, whatever became of those before it.

    Attributes:
        rate: events a second.
        seconds: for how long, after the warm-up.
        warm_up_s: seconds before that, whose events are judged but not timed.
        size: bytes of each event's data.
        keys: how many keys take turns.
        mode: whether each event is answered by another.

    Raises:
        Invalid: a number is out of its bounds.
    """

    rate: int
    seconds: float
    warm_up_s: float = 0.0
    size: int = 1024
    keys: int = 500
    mode: Mode = Mode.HANDLED

    def __post_init__(self) -> None:
        bounds = (
            ("rate", self.rate, 1, _MOST_PER_S),
            ("duration", self.seconds, 0.1, _MOST_S),
            ("warm-up", self.warm_up_s, 0, _MOST_S),
            ("size", self.size, _least_bytes(), _MOST_BYTES),
            ("keys", self.keys, 1, _MOST_KEYS),
        )
        for name, value, least, most in bounds:
            if not least <= value <= most:
                raise Invalid(f"--{name} is {value:g}.", hint=f"Give a number from {least:g} to {most:g}.", field=name)
        if not 1 <= self.total <= _MOST_EVENTS:
            hint = "Ask for a higher rate or more seconds, or for less of both."
            raise Invalid(f"That is {self.total} events, of at least 1 and at most {_MOST_EVENTS}.", hint=hint)

    @property
    def warm(self) -> int:
        """The number of the first event that is timed."""
        return round(self.warm_up_s * self.rate)

    @property
    def total(self) -> int:
        """How many events there are."""
        return self.warm + round(self.seconds * self.rate)

    def due_ns(self, number: int) -> int:
        """Return how many nanoseconds after the start an event is due."""
        return number * 1_000_000_000 // self.rate

    def due(self, elapsed_ns: int) -> int:
        """Return how many events are due so long after the start."""
        return min(self.total, elapsed_ns * self.rate // 1_000_000_000 + 1)

    def event(self, number: int) -> Event:
        """Return the event of a number."""
        key = _key(number % self.keys)
        data = StartRun(agent="bench", input="x" * (self.size - _least_bytes()), thread=key)
        return Event(type=ASK, tenant=TENANT, key=key, source="/bench", subject=str(number), data=data)


def reply_to(event: Event) -> Event:
    """Return the answer: as big as what it answers, under the same key."""
    asked = cast("StartRun", event.data)
    data = RunFinished(
        run=event.id,
        agent=asked.agent,
        thread=asked.thread,
        trigger=event.id,
        source="event",
        status="SUCCEEDED",
        output=asked.input,
    )
    return Event(type=REPLY, tenant=event.tenant, key=event.key, source="/bench", subject=event.subject, data=data)


def _key(number: int) -> str:
    return f"key_{number:06d}"


def _least_bytes() -> int:
    return len(msgspec.json.encode(StartRun(agent="bench", input="", thread=_key(0))))


def _numbers() -> "array[int]":
    return array("q")


@dataclass(slots=True)
class Taken:
    """What one process handled, in the order of its commits: the number, when the handler began, when it was committed.

    Times are nanoseconds of the machine's monotonic clock, which all processes share.
    """

    numbers: "array[int]" = field(default_factory=_numbers)
    begun_ns: "array[int]" = field(default_factory=_numbers)
    done_ns: "array[int]" = field(default_factory=_numbers)


@dataclass(slots=True)
class Sent:
    """What the driver did: when it started, how many it tried, and which of them the broker did not confirm."""

    start_ns: int = 0
    tried: int = 0
    failed: "array[int]" = field(default_factory=_numbers)
