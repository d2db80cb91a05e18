"""What pages read over several rooms."""

from dataclasses import dataclass

from backend.domain.chat.views import MessageView, ThreadView
from backend.foundation.bus.views import TopicDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLine:
    """A tool call as a chat shows it: one quiet line that opens. ``status`` is ``running``, ``ok`` or ``failed``."""

    path: str
    name: str
    status: str
    arguments: str
    result: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """A message with the tool calls that led to it and the trace of its run."""

    message: MessageView
    tools: tuple[ToolLine, ...]
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """A thread with some of its messages in a row, oldest first. ``active_run`` is the run that is queued or at work,
    if any: its stream is ``/v1/runs/{active_run}/events``. ``pending`` counts messages that wait behind it."""

    thread: ThreadView
    turns: tuple[TurnView, ...]
    active_run: str
    active_status: str
    pending: int
    has_older: bool
    has_newer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """A part of the system: ``status`` is ``ok``, ``attention``, ``failed`` or ``off``; then ``cause`` and ``fix`` say
    why and what to do. ``detail`` is one line of facts, ``figures`` are (name, value with unit)."""

    name: str
    title: str
    status: str
    detail: str
    cause: str = ""
    fix: str = ""
    figures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """All parts, and when they were asked (milliseconds since 1970)."""

    parts: tuple[PartHealth, ...]
    checked_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanView:
    """A bar of a trace's waterfall; ``start_ms`` counts from the trace's start."""

    id: str
    parent: str
    depth: int
    name: str
    service: str
    start_ms: float
    duration_ms: float
    status: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceView:
    """A trace, its spans in order of start."""

    id: str
    title: str
    started_ms: int
    duration_ms: float
    spans: tuple[SpanView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerLag:
    """A consumer of a topic, and how many of its messages it has not done yet."""

    name: str
    lag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A process that consumes a topic: its name on the bus, where it runs, and the numbers of its partitions."""

    name: str
    host: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerView:
    """A consumer of a topic, how many of its messages it has not done yet, and the processes that are this consumer."""

    name: str
    lag: int
    members: tuple[MemberView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicView:
    """A topic: its partitions, how many messages were ever written, what types it carries and who consumes it.

    ``kept`` says in words for how long it keeps messages, ``differences`` in what it is not as the settings want it.
    """

    name: str
    partitions: int
    written: int
    types: tuple[str, ...]
    consumers: tuple[ConsumerLag, ...]
    kept: str = ""
    differences: tuple[TopicDifference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """A message of a topic; ``place`` is partition and offset, ``payload`` its data as indented text, perhaps cut."""

    place: str
    time_ms: int
    type: str
    id: str
    key: str
    subject: str
    trace: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """Events, the newest first; ``partial`` where the topic held more since that time than were looked at.

    ``types`` are all that the topic carries. From an offset on, the first come first, and ``following`` is where those
    behind them begin, empty where there are none.
    """

    types: tuple[str, ...]
    events: tuple[EventView, ...]
    partial: bool
    following: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """A partition: the offsets of the oldest and the newest message that it holds, empty without one, and how many."""

    number: int
    first: str
    last: str
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """A field of an event's data; ``default`` is JSON, empty where it must be there."""

    name: str
    type: str
    required: bool
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeView:
    """A type of event.

    Attributes:
        title: the name of its data's model, ``about`` what that says.
        key: what the partition key is, in words.
        published_by, handled_by: the rooms that send it and the consumers that listen.
        public: whether programs may send it.
        example: data as indented JSON.
        protobuf: the message of its data.
    """

    name: str
    title: str
    summary: str
    about: str
    topic: str
    key: str
    published_by: tuple[str, ...]
    handled_by: tuple[str, ...]
    public: bool
    fields: tuple[FieldView, ...]
    example: str
    protobuf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """How many events of a type come a second, over the last ten (``None`` at first), and how many messages of its
    topic wait for each consumer."""

    per_s: float | None
    waiting: tuple[ConsumerLag, ...]
