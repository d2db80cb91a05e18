"""The JSON of the REST endpoints. The OpenAPI document is made from these."""

from typing import Any

import msgspec

from backend.domain.agents.views import AgentView
from backend.domain.directory.views import CardView
from backend.domain.flows.views import RunView, StepView


class RunRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ask an agent to run. Runs of one thread go one after the other and know what was said before."""

    input: str
    thread: str = ""
    wait: bool = True


class Usage(msgspec.Struct):
    """What the run used; cost is US dollars."""

    input_tokens: int
    output_tokens: int
    cost: float


class Step(msgspec.Struct):
    """A step of the run: its key, its node, STARTED, DONE, FAILED, CANCELLED or UNKNOWN, and how long it took."""

    path: str
    node: str
    status: str
    duration_ms: int


class RunError(msgspec.Struct):
    """Why the run failed, and the next step."""

    code: str
    message: str
    hint: str


class Run(msgspec.Struct):
    """A run: QUEUED, RUNNING, WAITING, SUCCEEDED, FAILED or CANCELLED; output is what was made until then."""

    id: str
    agent: str
    thread: str
    status: str
    output: str
    usage: Usage
    steps: list[Step]
    error: RunError | None
    trace_id: str
    created_ms: int
    finished_ms: int


class Agent(msgspec.Struct):
    """An agent that can be asked to run, by its id or its slug."""

    id: str
    slug: str
    name: str
    description: str
    status: str


class Agents(msgspec.Struct):
    """The agents of the key's tenant."""

    agents: list[Agent]


class Card(msgspec.Struct):
    """An agent's signed card, whether it is alive, stopped or dead, and since when, 0 where nobody knows."""

    agent: str
    status: str
    since_ms: int
    public: bool
    valid_until_ms: int
    card: dict[str, Any]


class Cards(msgspec.Struct):
    """A page of cards by the agents' ids; next is the after of the page that follows, empty on the last."""

    cards: list[Card]
    next: str


class Accepted(msgspec.Struct):
    """The events taken: ids as they were sent, events as AutoWeave calls them in traces, in the same order."""

    ids: list[str]
    events: list[str]


class Problem(msgspec.Struct):
    """What went wrong (RFC 9457): detail says what happened, hint the next step, field what to correct."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    trace_id: str
    field: str = ""


class Part(msgspec.Struct):
    """A part that this process needs: whether it answers, and in how many milliseconds."""

    name: str
    ok: bool
    latency_ms: float


class Ready(msgspec.Struct):
    """Whether this process can serve: ready or not_ready."""

    status: str
    parts: list[Part]


class Alive(msgspec.Struct):
    """This process answers."""

    status: str


def run_shape(view: RunView, steps: list[StepView]) -> Run:
    """Return a run as REST shows it."""
    return Run(
        id=view.id,
        agent=view.agent,
        thread=view.thread,
        status=view.status,
        output=view.output,
        usage=Usage(view.usage.input_tokens, view.usage.output_tokens, view.usage.cost),
        steps=[Step(step.path, step.node, step.status, step.duration_ms) for step in steps],
        error=RunError(view.error_code, view.error_message, view.error_hint) if view.error_code else None,
        trace_id=view.trace,
        created_ms=view.created_ms,
        finished_ms=view.finished_ms,
    )


def agent_shape(view: AgentView) -> Agent:
    """Return an agent as REST shows it."""
    return Agent(view.id, view.slug, view.name, view.description, view.status)


def card_shape(view: CardView) -> Card:
    """Return a card as REST shows it."""
    card = msgspec.json.decode(view.card)
    return Card(view.agent, view.status, view.since_ms, view.public, view.valid_until_ms, card)
