"""What is read of the bus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSummary:
    """An event that a consumer gave up, as a list shows it; of ``cause`` the first 300 characters."""

    id: int
    consumer: str
    type: str
    cause: str
    attempts: int
    created_ms: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterView:
    """An event that a consumer gave up.

    Attributes:
        position: topic, partition and offset of its message.
        payload: the event's data as text, JSON on indented lines; bytes that are no text are replaced.
        trace: the id of the trace that it belongs to, empty without one.
        status: ``WAITING``, ``REPLAYED`` or ``DISCARDED``.
        replays: how often it was sent again.
        decided_by, decided_ms, reason: who replayed or discarded it, when (0: nobody yet) and why.
    """

    id: int
    consumer: str
    event: str
    type: str
    topic: str
    position: str
    key: str
    payload: str
    cause: str
    stack: str
    attempts: int
    created_ms: int
    trace: str
    status: str
    replays: int
    decided_by: str
    decided_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What a replay would do; nothing was sent.

    Attributes:
        problem: why it cannot be sent, empty when it can; ``hint`` is what to do.
        type, topic, key: what would be sent, and where to.
        consumers: who would handle it.
    """

    problem: str = ""
    hint: str = ""
    type: str
    topic: str
    key: str
    consumers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """How many events of a type a consumer gave up that have this status."""

    consumer: str
    type: str
    status: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay of many is: events to send, sent, and those that could not be sent."""

    total: int
    done: int = 0
    failed: int = 0


def duration(milliseconds: int) -> str:
    """Return a time in words; what is below zero has no end."""
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000)):
        if milliseconds >= size and not milliseconds % size:
            count = milliseconds // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{milliseconds:,} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDifference:
    """In what a topic is not as the settings and the catalogue want it.

    Attributes:
        setting: ``partitions``, or a setting by Kafka's name.
        has: empty where it has none of its own.
    """

    topic: str
    setting: str
    has: str
    wanted: str

    @property
    def words(self) -> str:
        """Return it as a sentence."""
        return f"{self.topic}: {self.what}."

    @property
    def what(self) -> str:
        """Return it without the topic."""
        has, wanted = self.has or "not set", self.wanted
        if self.setting.endswith(".ms"):
            has, wanted = (duration(int(text)) if text.lstrip("-").isdecimal() else text for text in (has, wanted))
        return f"{self.setting} is {has}, wanted is {wanted}"

    @property
    def command(self) -> str:
        """Return what changes it."""
        return "autoweave bus apply" + (" --partitions" if self.setting == "partitions" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicChange:
    """What was done about a difference; ``problem`` says why it was not, and ``hint`` what to do then."""

    difference: TopicDifference
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView:
    """Events that wait for the relay: how many, and for how long the oldest has waited (milliseconds, 0 if none)."""

    waiting: int
    oldest_ms: int
