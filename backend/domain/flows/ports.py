"""What a node type is, and what the engine gives to one that runs."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from backend.domain.models.ports import ChatMessage, TextDelta, ToolSchema, TurnDone, TurnRequest
from backend.foundation.kernel.ids import AgentId, RunId, TenantId
from backend.governance.budgets.rules import Limits, Reservation, Spent

Effect = Literal["pure", "idempotent", "at_most_once"]
"""What a crash in the middle means: the first two run again with the same key, the third becomes UNKNOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a node may know of its run."""

    id: RunId
    tenant: TenantId
    agent: AgentId
    lane: str
    seq: int
    input: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step's work returns: JSON output, whether it is a failure that goes on, and what it used."""

    output: Any
    error: str = ""
    spent: Spent = field(default_factory=Spent)


class Progress(Protocol):
    """What a step shows while it runs; all of it is ephemeral."""

    path: str
    effect_key: str

    def token(self, text: str) -> None:
        """Add a piece of the answer."""
        ...

    def tool(self, data: Mapping[str, Any]) -> None:
        """Show a tool call as it is now."""
        ...


Work = Callable[[Progress], Awaitable[StepResult]]


class NodeContext(Protocol):
    """The engine as a node sees it."""

    run: RunFacts
    services: "NodeServices"

    @property
    def spent(self) -> Spent:
        """What the run used until now, settled steps only."""
        ...

    async def step(
        self, path: str, *, kind: str, effect: Effect, input: Any, work: Work, reserve: Reservation | None = None
    ) -> StepResult:
        """Run ``work`` once, durably, under a path below the node's own; a finished one is returned from its row.

        A call that a limit forbids raises `BudgetExhausted`; one that may be tried again suspends the run until its
        timer fires. ``work`` may be abandoned at any await.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeServices:
    """The rooms below, as far as nodes use them; each call stands for the run's own tenant."""

    stream: Callable[[TurnRequest], AsyncGenerator[TextDelta | TurnDone]]
    estimate: Callable[[TurnRequest], int]
    price: Callable[[str, int, int], int]
    schemas: Callable[[TenantId, tuple[str, ...]], Awaitable[tuple[ToolSchema, ...]]]
    call_tool: "CallTool"
    history: Callable[[RunFacts, int], Awaitable[tuple[ChatMessage, ...]]]


class CallTool(Protocol):
    """A call of one tool by the name that the model knows it by."""

    async def __call__(self, run: RunFacts, name: str, arguments: dict[str, Any], *, effect_key: str) -> "ToolOutcome":
        """Return how it ended; never raises for what the tool or its arguments did."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """How a tool call ended; ``output`` is JSON."""

    ok: bool
    output: Any
    error: str
    duration_ms: int


class NodeType(Protocol):
    """One file in ``nodes/``: a stable id, a schema version and the work."""

    type: str
    version: int

    async def run(self, context: NodeContext, config: Mapping[str, Any], value: Any) -> Any:
        """Turn the value that comes in into the one that goes out (both JSON)."""
        ...
