"""What is read of runs: for views, for resuming and for the conversation so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.flows.models import RunRow, SnapshotRow, StepRow
from backend.domain.flows.rules import OPEN
from backend.domain.flows.views import RunView, StepView, UsageView
from backend.foundation.kernel.ids import AgentId, RunId
from backend.foundation.kernel.tables import table_of
from backend.governance.budgets.rules import Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStep:
    """A step's row as a resumed run reads it."""

    status: str
    attempt: int
    output: Any
    error: str
    spent: Spent


# What each run is asked for is built once and read as plain rows: a mapped object costs five times as much.
_RUN = table_of(RunRow)
_STEP = table_of(StepRow)
_OF_TENANT = select(*_RUN.c).where(_RUN.c.tenant == bindparam("of_tenant"))
_BY_ID = _OF_TENANT.where(_RUN.c.id == bindparam("run"))
_BY_TRIGGER = _OF_TENANT.where(_RUN.c.agent == bindparam("of_agent"), _RUN.c.trigger == bindparam("of_trigger"))
_STEPS = (
    select(*_STEP.c)
    .where(_STEP.c.tenant == bindparam("of_tenant"), _STEP.c.run == bindparam("of_run"))
    .order_by(_STEP.c.position)
)


async def run_row(session: AsyncSession, tenant: str, run: str) -> Row[Any] | None:
    """Return a run of a tenant."""
    return (await session.execute(_BY_ID, {"of_tenant": tenant, "run": run})).first()


async def run_of_trigger(session: AsyncSession, tenant: str, agent: str, trigger: str) -> Row[Any] | None:
    """Return the run that an event or an idempotency key started."""
    found = await session.execute(_BY_TRIGGER, {"of_tenant": tenant, "of_agent": agent, "of_trigger": trigger})
    return found.first()


async def steps_of(session: AsyncSession, tenant: str, run: str) -> Sequence[Row[Any]]:
    """Return the steps of a tenant's run in the order in which they began."""
    return (await session.execute(_STEPS, {"of_tenant": tenant, "of_run": run})).all()


async def open_runs(session: AsyncSession, tenant: str, lane: str) -> list[RunRow]:
    """Return the unfinished runs of a lane, oldest first."""
    found = select(RunRow).where(col(RunRow.tenant) == tenant, col(RunRow.lane) == lane, col(RunRow.status).in_(OPEN))
    return list((await session.execute(found.order_by(col(RunRow.seq)))).scalars())


async def runs_of_triggers(session: AsyncSession, triggers: list[str]) -> list[RunRow]:
    """Return the runs that events started."""
    return list((await session.execute(select(RunRow).where(col(RunRow.trigger).in_(triggers)))).scalars())


async def step_rows(session: AsyncSession, runs: list[str], *, kind: str = "") -> list[StepRow]:
    """Return the steps of runs, of one kind if asked for, in the order in which they began."""
    found = select(StepRow).where(col(StepRow.run).in_(runs))
    found = found.order_by(col(StepRow.run), col(StepRow.position))
    if kind:
        found = found.where(col(StepRow.kind) == kind)
    return list((await session.execute(found)).scalars())


async def stored_steps(session: AsyncSession, run: str) -> dict[str, StoredStep]:
    """Return what a resumed run finds, by path, in the order of first beginnings."""
    steps = await session.execute(select(StepRow).where(col(StepRow.run) == run).order_by(col(StepRow.position)))
    return {row.path: _stored(row) for row in steps.scalars()}


def _stored(row: StepRow) -> StoredStep:
    done = row.status == "DONE"
    spent = Spent(
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_micros=row.cost_micros,
        turns=int(done and row.kind == "turn"),
        tool_calls=int(done and row.kind == "tool"),
    )
    return StoredStep(status=row.status, attempt=row.attempt, output=row.output, error=row.error, spent=spent)


async def exchanges(session: AsyncSession, tenant: str, lane: str, before: int, limit: int) -> list[tuple[str, str]]:
    """Return the last (input, output) pairs of a lane before a run, oldest first; only runs that said something."""
    found = (
        select(col(RunRow.input), col(RunRow.output))
        .where(col(RunRow.tenant) == tenant, col(RunRow.lane) == lane)
        .where(col(RunRow.seq) < before, col(RunRow.output) != "")
        .order_by(col(RunRow.seq).desc())
        .limit(limit)
    )
    return [(row.input, row.output) for row in reversed((await session.execute(found)).all())]


async def snapshot_graph(session: AsyncSession, snapshot: str) -> dict[str, Any] | None:
    """Return a snapshot's graph."""
    found = select(col(SnapshotRow.graph)).where(col(SnapshotRow.id) == snapshot)
    return (await session.execute(found)).scalar_one_or_none()


async def last_number(session: AsyncSession, agent: str) -> int:
    """Return the number of an agent's newest snapshot, 0 when there is none."""
    numbers = select(col(SnapshotRow.number)).where(col(SnapshotRow.agent) == agent)
    found = numbers.order_by(col(SnapshotRow.number).desc()).limit(1)
    return (await session.execute(found)).scalar_one_or_none() or 0


def run_view(row: RunRow | Row[Any] | SimpleNamespace) -> RunView:
    """Return the view of a run's row."""
    return RunView(
        id=RunId(row.id),
        agent=AgentId(row.agent),
        thread=row.thread,
        trigger=row.trigger,
        status=row.status,
        input=row.input,
        output=row.output,
        error_code=row.error_code,
        error_message=row.error_message,
        error_hint=row.error_hint,
        usage=UsageView(
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost=row.cost_micros / 1_000_000,
            tool_calls=row.tool_calls,
        ),
        trace=row.traceparent[3:35],
        created_ms=row.created_ms,
        started_ms=row.started_ms,
        finished_ms=row.finished_ms,
    )


def step_view(row: StepRow | Row[Any]) -> StepView:
    """Return the view of a step's row."""
    return StepView(
        path=row.path,
        node=row.node,
        kind=row.kind,
        status=row.status,
        attempt=row.attempt,
        input=row.input,
        output=row.output,
        error=row.error,
        started_ms=row.started_ms,
        duration_ms=row.duration_ms,
    )
