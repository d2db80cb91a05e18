"""One transaction for a group of commits: fence all, then write those that still own their run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from sqlalchemy import Update, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from backend.domain.flows.models import AttemptRow, RunRow, StepRow, TimerRow
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.tables import insert_text, now_ms, table_of

_RUN = table_of(RunRow)
_STEP = table_of(StepRow)
_ATTEMPT = table_of(AttemptRow)
_TIMER = table_of(TimerRow)


@dataclass(slots=True, kw_only=True)
class Commit:
    """What one run writes at once.

    Attributes:
        run, tenant, epoch: whose it is; under another epoch nothing is written and `Fenced` is raised.
        steps: rows to insert or replace. attempts, timers: rows to insert.
        changes: columns of the run to set. ``status`` other than RUNNING gives the lease back.
        events: go to the outbox with it.
        progress: whether a step was done, which proves that the run does not loop through crashes.
    """

    run: str
    tenant: str
    epoch: int
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    timers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    events: list[Event] = field(default_factory=list[Event])
    progress: bool = False


Verdict = Literal["written", "cancelled", "fenced"]
"""``cancelled``: written, and a cancel is asked for, so that nothing may follow."""


async def write_group(session: AsyncSession, commits: Sequence[Commit]) -> list[Verdict]:
    """Write what the fence lets pass; return a verdict for each commit, in order."""
    if len(commits) == 1 and _is_plain(commits[0]):
        return [await _write_alone(session, commits[0])]
    holders = await _holders(session, {commit.run for commit in commits})
    verdicts: list[Verdict] = []
    passed: list[Commit] = []
    for commit in commits:
        epoch, cancelled = holders.get(commit.run, (-1, False))
        if epoch != commit.epoch:
            verdicts.append("fenced")
            continue
        if cancelled:
            _schedule_nothing(commit)
        verdicts.append("cancelled" if cancelled else "written")
        passed.append(commit)
    await _write_rows(session, passed)
    await _change_runs(session, passed)
    return verdicts


def _is_plain(commit: Commit) -> bool:
    """Whether the same is written if a cancel is asked for."""
    return bool(commit.changes) and not commit.timers and commit.changes.get("status") != "WAITING"


async def _write_alone(session: AsyncSession, commit: Commit) -> Verdict:
    """Fence and change a run by one statement: a lone run waits for each."""
    changes = _changes_of(commit)
    values = {f"b_{name}": value for name, value in changes.items()}
    statement = _fenced_change(tuple(sorted(changes)))
    found = (await session.execute(statement, values | {"b_id": commit.run, "b_epoch": commit.epoch})).first()
    if found is None:
        return "fenced"
    await _write_rows(session, [commit])
    return "cancelled" if found.cancel else "written"


def _schedule_nothing(commit: Commit) -> None:
    commit.timers.clear()
    if commit.changes.get("status") == "WAITING":
        del commit.changes["status"]


async def _holders(session: AsyncSession, runs: set[str]) -> dict[str, tuple[int, bool]]:
    found = await session.execute(_HOLDERS, {"runs": list(runs)})
    return {row.id: (row.epoch, row.cancel) for row in found}


# Statements that every step needs are built once: building one costs more than running it.
_HOLDERS = (
    select(_RUN.c.id, _RUN.c.epoch, _RUN.c.cancel)
    .where(_RUN.c.id.in_(bindparam("runs", expanding=True)), _RUN.c.status == "RUNNING", _RUN.c.lease_until > now_ms())
    .order_by(_RUN.c.seq)
    .with_for_update()
)


async def _write_rows(session: AsyncSession, commits: Sequence[Commit]) -> None:
    steps = [_STEP_DEFAULTS | step for commit in commits for step in commit.steps]
    if steps:
        await session.execute(_STEP_UPSERT, steps)
    attempts = [row for commit in commits for row in commit.attempts]
    if attempts:
        await session.execute(insert(_ATTEMPT), attempts)
    timers = [row for commit in commits for row in commit.timers]
    if timers:
        # The wait counts by the database's clock, from now.
        values: dict[str, Any] = {name: bindparam(name) for name in ("id", "tenant", "run", "path", "kind", "wait_ms")}
        statement = insert(_TIMER).values(**values, due_ms=now_ms() + bindparam("wait_ms"))
        await session.execute(statement, timers)


_STEP_DEFAULTS: dict[str, Any] = {
    "attempt": 1, "effect_key": "", "epoch": 0, "input": None, "output": None, "error": "", "reserved_tokens": 0,
    "reserved_micros": 0, "input_tokens": 0, "output_tokens": 0, "cost_micros": 0, "started_ms": 0, "duration_ms": 0,
}  # fmt: skip


_KEPT = ("run", "path", "tenant", "position")
_STEP_UPSERT = insert_text(
    _STEP,
    conflict="(run, path) DO UPDATE SET "
    + ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in _STEP.columns if column.name not in _KEPT),
)


async def _change_runs(session: AsyncSession, commits: Sequence[Commit]) -> None:
    """Set each run's columns; runs that set the same columns share one statement."""
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for commit in commits:
        if changes := _changes_of(commit):
            row = {"b_id": commit.run} | {f"b_{name}": value for name, value in changes.items()}
            shapes.setdefault(tuple(sorted(changes)), []).append(row)
    for names, rows in shapes.items():
        await session.execute(_change(names), rows)


def _changes_of(commit: Commit) -> dict[str, Any]:
    return commit.changes | {"claims": 0} if commit.progress else commit.changes


@cache
def _fenced_change(names: tuple[str, ...]) -> ReturningUpdate[tuple[bool]]:
    held = (_RUN.c.epoch == bindparam("b_epoch"), _RUN.c.status == "RUNNING", _RUN.c.lease_until > now_ms())
    return _change(names).where(*held).returning(_RUN.c.cancel)


@cache
def _change(names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"b_{name}") for name in names}
    if "status" in names:
        values |= {"lease_until": 0, "owner": ""}
    if "output" in names:
        values["finished_ms"] = now_ms()
    return update(_RUN).where(_RUN.c.id == bindparam("b_id")).values(**values)
