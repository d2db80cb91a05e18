"""Tables of flows: snapshots, runs, steps, attempts and timers."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field

from backend.foundation.kernel.tables import Json, TenantRow

_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
_OPEN = text("status IN ('QUEUED', 'RUNNING', 'WAITING')")
HEARD_OF = "coalesce(nullif(finished_ms, 0), nullif(started_ms, 0), created_ms)"
"""When a run came to its status, in milliseconds; an index has it, which queries find by these very words."""
LISTED = "source <> 'chat'"
"""Which runs are listed: what people say in chats is theirs."""


class SnapshotRow(TenantRow, table=True):
    """An immutable numbered graph of an agent; runs pin it."""

    __tablename__ = "flows_snapshot"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("tenant", "agent", "number"),)

    id: str = Field(primary_key=True, max_length=40)
    agent: str = Field(max_length=40)
    number: int
    graph: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    created_ms: int = Field(sa_type=BigInteger)


class RunRow(TenantRow, table=True):
    """One execution. ``seq`` orders the runs of a lane; ``epoch`` fences: only its holder may commit."""

    __tablename__ = "flows_run"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("tenant", "agent", "trigger"),
        Index("ix_flows_run_open", "status", "lease_until", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_flows_run_lane", "tenant", "lane", "seq"),
        Index("ix_flows_run_trigger", "trigger"),
        Index("ix_flows_run_owner", "owner", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "ix_flows_run_listed",
            "tenant",
            "agent",
            text(HEARD_OF),
            "id",
            "status",
            sqlite_where=text(LISTED),
            postgresql_where=text(LISTED),
        ),
    )

    seq: int | None = Field(default=None, sa_column=Column(_SEQUENCE, primary_key=True, autoincrement=True))
    id: str = Field(max_length=40, unique=True)
    agent: str = Field(max_length=40)
    snapshot: str = Field(max_length=40)
    lane: str = Field(max_length=80)
    thread: str = Field(default="", max_length=80)
    trigger: str = Field(max_length=80)
    source: str = Field(max_length=16)
    subject: str = Field(default="", max_length=80)
    status: str = Field(default="QUEUED", max_length=16)
    owner: str = Field(default="", max_length=64)
    epoch: int = Field(default=0)
    lease_until: int = Field(default=0, sa_type=BigInteger)
    claims: int = Field(default=0)
    cancel: bool = Field(default=False)
    input: str = Field(sa_type=Text)
    output: str = Field(default="", sa_type=Text)
    error_code: str = Field(default="", max_length=64)
    error_message: str = Field(default="", sa_type=Text)
    error_hint: str = Field(default="", sa_type=Text)
    limits: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    input_tokens: int = Field(default=0)
    output_tokens: int = Field(default=0)
    cost_micros: int = Field(default=0, sa_type=BigInteger)
    tool_calls: int = Field(default=0)
    traceparent: str = Field(default="", max_length=64)
    created_ms: int = Field(sa_type=BigInteger)
    started_ms: int = Field(default=0, sa_type=BigInteger)
    finished_ms: int = Field(default=0, sa_type=BigInteger)
    deadline_ms: int = Field(sa_type=BigInteger)


class StepRow(TenantRow, table=True):
    """A step by its deterministic path; ``position`` is the order of first beginnings.

    The row of an effect is written before it starts and again when it ended.
    """

    __tablename__ = "flows_step"  # pyright: ignore[reportAssignmentType]

    run: str = Field(primary_key=True, max_length=40)
    path: str = Field(primary_key=True, max_length=200)
    position: int = Field(default=0)
    node: str = Field(max_length=80)
    kind: str = Field(max_length=32)
    status: str = Field(max_length=16)
    attempt: int = Field(default=1)
    effect_key: str = Field(default="", max_length=64)
    epoch: int = Field(default=0)
    input: Any = Field(default=None, sa_column=Column(Json))
    output: Any = Field(default=None, sa_column=Column(Json))
    error: str = Field(default="", sa_type=Text)
    reserved_tokens: int = Field(default=0)
    reserved_micros: int = Field(default=0, sa_type=BigInteger)
    input_tokens: int = Field(default=0)
    output_tokens: int = Field(default=0)
    cost_micros: int = Field(default=0, sa_type=BigInteger)
    started_ms: int = Field(default=0, sa_type=BigInteger)
    duration_ms: int = Field(default=0)


class AttemptRow(TenantRow, table=True):
    """A try of a step that did not succeed; the one that did is the step's own row."""

    __tablename__ = "flows_attempt"  # pyright: ignore[reportAssignmentType]

    run: str = Field(primary_key=True, max_length=40)
    path: str = Field(primary_key=True, max_length=200)
    attempt: int = Field(primary_key=True)
    status: str = Field(max_length=16)
    error: str = Field(default="", sa_type=Text)
    started_ms: int = Field(default=0, sa_type=BigInteger)
    duration_ms: int = Field(default=0)


class TimerRow(TenantRow, table=True):
    """A wake-up without an owner: whoever sees it due first deletes it and makes the run runnable.

    ``wait_ms`` is how long it was set for: what lies further ahead was set before the clock was put back.
    """

    __tablename__ = "flows_timer"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_flows_timer_due", "due_ms"),)

    id: str = Field(primary_key=True, max_length=40)
    run: str = Field(max_length=40, index=True)
    path: str = Field(default="", max_length=200)
    kind: str = Field(max_length=16)
    due_ms: int = Field(sa_type=BigInteger)
    wait_ms: int = Field(sa_type=BigInteger)
