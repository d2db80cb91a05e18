"""Every event type of the product: its payload, topic and key. The one place where a type is added."""

from backend.foundation.events.envelope import EventData

STATE_MS = {"aw.cards": 8 * 24 * 3_600_000}
"""Topics whose events tell the state of their key, so that the last of each replaces those before it (compaction), and
for how many milliseconds the last is kept at the least. A card may be believed for seven days and is told anew each day
while its agent is there; a withdrawal must outlive every card that it takes back. So nothing needs a tombstone, which
could not be signed."""


class EventType(EventData, frozen=True, kw_only=True):
    """How a type travels.

    Attributes:
        name: ``<room>.<fact>.v1`` for facts (past tense), ``<room>.<verb>.v1`` for commands (imperative).
        topic: the topic that carries it.
        data: the payload's model.
        key: what the partition key is, in words; events of one key keep their order.
        published_by: the rooms that send it.
        handled_by: the consumers that listen; `backend.bootstrap.wiring` binds each to its function.
        public: whether a program with ``events:publish`` may send it through ``POST /events/{topic}``.
        outgoing: whether a webhook may be subscribed to it: facts that mean something to people outside.
        summary: one sentence for documents.
        example: a payload for documents.
    """

    name: str
    topic: str
    data: type[EventData]
    key: str
    published_by: tuple[str, ...] = ()
    handled_by: tuple[str, ...]
    public: bool = False
    outgoing: bool = False
    summary: str
    example: EventData


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


class CardAnnounced(EventData, frozen=True, kw_only=True):
    """An agent's card, new or changed: ``card`` is an A2A agent card as JSON text, signed as A2A says. The signature
    covers the tenant, the agent, ``sequence`` (grows with each change, milliseconds) and ``valid_s`` (seconds from then
    on for which it may be believed): they stand inside once more, in the parameters of our extension."""

    agent: str
    sequence: int
    valid_s: int
    card: str


class CardWithdrawn(EventData, frozen=True, kw_only=True):
    """An agent is gone, and with it its card; ``proof`` is a compact JWS that names the tenant, the agent and the
    ``sequence``."""

    agent: str
    sequence: int
    proof: str


class SpecChanged(EventData, frozen=True, kw_only=True):
    """The AsyncAPI document that the installation serves is another one, as after an update: which one (``asyncapi``),
    its version, the SHA-256 of the one before and of this one, and the places that are new, different and gone.
    ``sequence`` grows with each change. ``compatible`` is the verdict of `autoweave spec check`, ``breaking`` what it
    says of each change that breaks somebody. Of each list the first hundred."""

    document: str
    sequence: int
    version: str
    previous: str
    current: str
    compatible: bool
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    breaking: tuple[str, ...] = ()


class EventGivenUp(EventData, frozen=True, kw_only=True):
    """A consumer gave an event up: what it was, where it stood, why, and after how many attempts. ``payload`` is its
    data; bytes that are no text stand in ``payload_base64`` instead, and what is too large in neither."""

    event: str
    type: str
    topic: str
    partition: int
    offset: str
    key: str
    headers: dict[str, str]
    payload: str
    payload_base64: str = ""
    cause: str
    stack: str
    attempts: int


def _given_up(room: str, *, outgoing: bool = True) -> EventType:
    """Return the type of what a room gave up: its dead-letter topic."""
    return EventType(
        name=f"{room}.event_given_up.v1",
        topic=f"aw.dead.{room}",
        data=EventGivenUp,
        key="That of the event that was given up.",
        published_by=(room,),
        handled_by=("webhooks",) if outgoing else (),
        outgoing=outgoing,
        summary=f"An event that {room} could not handle.",
        example=EventGivenUp(
            event="evt_1",
            type="agents.start_run.v1",
            topic="aw.agents",
            partition=0,
            offset="17",
            key="thr_1",
            headers={"ce_id": "evt_1", "ce_type": "agents.start_run.v1", "ce_tenantid": "tnt_1"},
            payload='{"agent": 7}',
            cause="BadPayload: The data of 'agents.start_run.v1' does not fit.",
            stack="",
            attempts=1,
        ),
    )


CATALOGUE: dict[str, EventType] = {
    entry.name: entry
    for entry in (
        _given_up("agents"),
        _given_up("chat"),
        _given_up("flows"),
        # What could not be queued for webhooks is not told by webhooks.
        _given_up("webhooks", outgoing=False),
        EventType(
            name="chat.message_sent.v1",
            topic="aw.chat",
            data=MessageSent,
            key="The thread.",
            published_by=("chat",),
            handled_by=("agents", "webhooks"),
            outgoing=True,
            summary="A person sent a message to an agent.",
            example=MessageSent(
                thread="thr_1", message="msg_1", agent="concierge", text="What is 7 times 6?", sender="usr_1"
            ),
        ),
        EventType(
            name="agents.start_run.v1",
            topic="aw.agents",
            data=StartRun,
            key="As the sender says, else the event's subject, else its id.",
            handled_by=("agents",),
            public=True,
            summary="Ask an agent to run.",
            example=StartRun(agent="concierge", input="What is 7 times 6?"),
        ),
        EventType(
            name="agents.card_announced.v1",
            topic="aw.cards",
            data=CardAnnounced,
            key="The agent.",
            published_by=("directory",),
            handled_by=(),
            summary="An agent's signed card is new or has changed.",
            example=CardAnnounced(
                agent="agt_1",
                sequence=1_767_225_600_000,
                valid_s=604_800,
                card='{"name":"Concierge","signatures":[{"protected":"eyJhbGciOiJFZERTQSJ9","signature":"c2ln"}]}',
            ),
        ),
        EventType(
            name="agents.card_withdrawn.v1",
            topic="aw.cards",
            data=CardWithdrawn,
            key="The agent.",
            published_by=("directory",),
            handled_by=(),
            summary="An agent and its card are gone.",
            example=CardWithdrawn(
                agent="agt_1", sequence=1_767_225_600_001, proof="eyJhbGciOiJFZERTQSJ9.eyJhZ2VudCI6ImFndF8xIn0.c2ln"
            ),
        ),
        EventType(
            name="spec.changed.v1",
            topic="aw.spec",
            data=SpecChanged,
            key="The document.",
            published_by=("bus",),
            handled_by=("webhooks",),
            outgoing=True,
            summary="The AsyncAPI document of the events has changed.",
            example=SpecChanged(
                document="asyncapi",
                sequence=2,
                version="1",
                previous="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                current="60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
                compatible=True,
                added=("channels/aw.orders",),
                changed=("components/schemas/StartRun",),
            ),
        ),
        EventType(
            name="agents.run_refused.v1",
            topic="aw.runs",
            data=RunRefused,
            key="The thread.",
            published_by=("agents",),
            handled_by=("chat", "webhooks"),
            outgoing=True,
            summary="A message could not start a run.",
            example=RunRefused(
                thread="thr_1",
                trigger="evt_1",
                agent="concierge",
                error_code="agent_not_running",
                error_message="The agent 'concierge' is stopped.",
                error_hint="Start it, then send the message again.",
            ),
        ),
        EventType(
            name="flows.run_finished.v1",
            topic="aw.runs",
            data=RunFinished,
            key="The run's thread; the run itself where it has none.",
            published_by=("flows",),
            handled_by=("chat", "webhooks"),
            outgoing=True,
            summary="A run reached its end.",
            example=RunFinished(
                run="run_1",
                agent="concierge",
                thread="thr_1",
                trigger="evt_1",
                source="chat",
                status="SUCCEEDED",
                output="42",
            ),
        ),
    )
}
