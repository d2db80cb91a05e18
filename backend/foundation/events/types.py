"""Every event type of the product: its payload, topic and key. The one place where a type is added."""

from backend.foundation.events.envelope import EventData


class EventType(EventData, frozen=True, kw_only=True):
    """How a type travels.

    Attributes:
        name: ``<room>.<fact>.v1`` for facts (past tense), ``<room>.<verb>.v1`` for commands (imperative).
        topic: the topic that carries it.
        data: the payload's model.
        public: whether a program with ``events:publish`` may send it through ``POST /events/{topic}``.
        summary: one sentence for documents.
    """

    name: str
    topic: str
    data: type[EventData]
    public: bool = False
    summary: str


class MessageSent(EventData, frozen=True, kw_only=True):
    """A person sent a message in a chat; the agent has to answer."""

    thread: str
    message: str
    agent: str
    text: str
    sender: str


class StartRun(EventData, frozen=True, kw_only=True):
    """Ask an agent (id or slug) to run with an input; runs of one thread go one after the other."""

    agent: str
    input: str
    thread: str = ""


class RunFinished(EventData, frozen=True, kw_only=True):
    """A run reached its end: ``SUCCEEDED``, ``FAILED`` or ``CANCELLED``; ``output`` holds what was made until then.
    ``source`` tells what started it: ``chat``, ``rest`` or ``event``."""

    run: str
    agent: str
    thread: str
    trigger: str
    source: str
    status: str
    output: str
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""


class RunRefused(EventData, frozen=True, kw_only=True):
    """A message could not start a run: its agent is gone, stopped, or cannot take the input."""

    thread: str
    trigger: str
    agent: str
    error_code: str
    error_message: str
    error_hint: str


CATALOGUE: dict[str, EventType] = {
    entry.name: entry
    for entry in (
        EventType(
            name="chat.message_sent.v1",
            topic="aw.chat",
            data=MessageSent,
            summary="A person sent a message to an agent.",
        ),
        EventType(
            name="agents.start_run.v1",
            topic="aw.agents",
            data=StartRun,
            public=True,
            summary="Ask an agent to run.",
        ),
        EventType(
            name="agents.run_refused.v1",
            topic="aw.runs",
            data=RunRefused,
            summary="A message could not start a run.",
        ),
        EventType(
            name="flows.run_finished.v1",
            topic="aw.runs",
            data=RunFinished,
            summary="A run reached its end.",
        ),
    )
}
