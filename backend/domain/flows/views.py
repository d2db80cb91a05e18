"""What pages and doors read of runs."""

from dataclasses import dataclass
from typing import Any

from backend.foundation.kernel.ids import AgentId, RunId

FINISHED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
"""The statuses that a run never leaves; the others are QUEUED, RUNNING and WAITING."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step of a run. ``path`` is its key, such as ``llm#0/turn[1]/call[0]``; ``kind`` is the node's type, or ``turn``
    or ``tool`` inside an LLM node; ``status`` is STARTED, DONE, FAILED, CANCELLED or UNKNOWN."""

    path: str
    node: str
    kind: str
    status: str
    attempt: int
    input: Any
    output: Any
    error: str
    started_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """What a run used; ``cost`` is US dollars."""

    input_tokens: int
    output_tokens: int
    cost: float
    tool_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run; ``trace`` is the id under which telemetry has its spans."""

    id: RunId
    agent: AgentId
    thread: str
    trigger: str
    status: str
    input: str
    output: str
    error_code: str
    error_message: str
    error_hint: str
    usage: UsageView
    trace: str
    created_ms: int
    started_ms: int
    finished_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """A page of an agent's runs, those first that came to their status last.

    Attributes:
        runs: without ``input`` or ``output`` where they were not asked for.
        next: the place after which the next page begins; empty on the last.
        total: how many runs fit, on all pages together; counted up to 10,000.
    """

    runs: tuple[RunView, ...]
    next: str
    total: int
