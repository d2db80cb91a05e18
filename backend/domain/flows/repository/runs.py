"""The life of runs in rows: insert, claim, renew, give back, time out. All statements carry their predicate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Integer,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from backend.domain.flows.models import RunRow, SnapshotRow, TimerRow
from backend.domain.flows.rules import MAX_CLAIMS, OPEN
from backend.foundation.kernel.tables import NOW_MS, insert_text, now_ms, row_count, table_of

_RUN = table_of(RunRow)
_SNAPSHOT = table_of(SnapshotRow)
_TIMER = table_of(TimerRow)

LEASE_MS = 15_000
_AHEAD_MS = LEASE_MS + 1_000
"""No lease ends later than this from now: where one does, the clock was put back."""

_LOCK_LANE = text("SELECT pg_advisory_xact_lock(hashtextextended(:lane, 0))")
_INSERT_RUN = {
    dialect: insert_text(
        _RUN,
        conflict="(tenant, agent, trigger) DO NOTHING RETURNING created_ms",
        expressions={"seq": "", "created_ms": now, "deadline_ms": f"{now} + CAST(:wall_ms AS BIGINT)"},
    )
    for dialect, now in NOW_MS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run as its new owner gets it; ``now_ms`` is the database's clock at the claim."""

    id: str
    seq: int
    tenant: str
    agent: str
    snapshot: str
    lane: str
    thread: str
    trigger: str
    source: str
    subject: str
    epoch: int
    claims: int
    cancel: bool
    input: str
    limits: dict[str, Any]
    traceparent: str
    created_ms: int
    started_ms: int
    deadline_ms: int
    now_ms: int


_CLAIMED = [_RUN.c[name] for name in Claimed.__slots__ if name != "now_ms"]


async def insert_run(session: AsyncSession, row: dict[str, Any], *, wall_ms: int) -> int | None:
    """Insert a run unless its (tenant, agent, trigger) has one; return when it was made, None if it is not new."""
    dialect = session.get_bind().dialect.name
    if dialect == "postgresql":
        # Sequence numbers are drawn before the commit: without this a later run of the lane could be seen first.
        await session.execute(_LOCK_LANE, {"lane": row["tenant"] + row["lane"]})
    inserted = await session.execute(_INSERT_RUN[dialect], row | {"wall_ms": wall_ms})
    return inserted.scalar_one_or_none()


async def claim(session: AsyncSession, owner: str, limit: int) -> list[Claimed]:
    """Take up to ``limit`` runs, oldest first: queued or orphaned ones that no earlier run of the lane blocks."""
    rows = (await session.execute(_CLAIM, {"owner": owner, "most": limit})).mappings().all()
    return sorted((Claimed(**row) for row in rows), key=lambda run: run.seq)


def _claim() -> ReturningUpdate[Any]:
    candidate, earlier = _RUN.alias("candidate"), _RUN.alias("earlier")
    blocked = exists().where(
        earlier.c.tenant == candidate.c.tenant,
        earlier.c.lane == candidate.c.lane,
        earlier.c.seq < candidate.c.seq,
        earlier.c.status.in_(OPEN),
    )
    runnable = (
        select(candidate.c.seq)
        .where(
            candidate.c.status.in_(("QUEUED", "RUNNING")),
            candidate.c.lease_until <= now_ms(),
            candidate.c.claims < MAX_CLAIMS,
            candidate.c.deadline_ms > now_ms(),
            ~blocked,
        )
        .order_by(candidate.c.seq)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True, of=candidate)
        # A plain subquery may be planned as a join that runs it again for each row, and so takes more than its limit.
        .cte("runnable")
    )
    return (
        update(_RUN)
        .where(_RUN.c.seq.in_(select(runnable.c.seq)))
        .values(
            status="RUNNING",
            owner=bindparam("owner", type_=String),
            epoch=_RUN.c.epoch + 1,
            claims=_RUN.c.claims + 1,
            lease_until=now_ms() + LEASE_MS,
            started_ms=func.coalesce(func.nullif(_RUN.c.started_ms, 0), now_ms()),
        )
        .returning(*_CLAIMED, now_ms().label("now_ms"))
    )


# Built once: building it costs ten times what running it does.
_CLAIM = _claim()


async def renew(session: AsyncSession, owner: str, runs: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Lengthen a worker's leases on these runs in one statement; return (epoch, cancel) of each that it still has."""
    statement = (
        update(_RUN)
        .where(_RUN.c.id.in_(runs), _RUN.c.owner == owner, _RUN.c.status == "RUNNING")
        .values(lease_until=now_ms() + LEASE_MS)
        .returning(_RUN.c.id, _RUN.c.epoch, _RUN.c.cancel)
    )
    return {row.id: (row.epoch, row.cancel) for row in await session.execute(statement)}


async def give_back(session: AsyncSession, owner: str, runs: Sequence[tuple[str, int]] | None = None) -> int:
    """Make a worker's runs runnable at once: those named by (id, epoch), or all when its process is dead.

    A run that is given back in order does not count as a crash; a dead owner's claim stays counted.
    """
    statement = update(_RUN).where(_RUN.c.owner == owner, _RUN.c.status == "RUNNING")
    values: dict[str, Any] = {"status": "QUEUED", "owner": "", "lease_until": 0}
    if runs is not None:
        if not runs:
            return 0
        statement = statement.where(or_(*(and_(_RUN.c.id == run, _RUN.c.epoch == epoch) for run, epoch in runs)))
        values["claims"] = _RUN.c.claims - 1
    return row_count(await session.execute(statement.values(**values)))


async def fire_timers(session: AsyncSession) -> int:
    """Delete what is due and make its runs runnable; return how many were due."""
    due = select(_TIMER.c.id).where(_TIMER.c.due_ms <= now_ms()).limit(500)
    due = due.with_for_update(skip_locked=True).cte("due")
    fired = delete(_TIMER).where(_TIMER.c.id.in_(select(due.c.id))).returning(_TIMER.c.run)
    runs = {row.run for row in await session.execute(fired)}
    if runs:
        await session.execute(
            update(_RUN).where(_RUN.c.id.in_(runs), _RUN.c.status == "WAITING").values(status="QUEUED", lease_until=0)
        )
    return len(runs)


async def next_timer_ms(session: AsyncSession) -> int | None:
    """Return how many milliseconds it is until the next timer is due, ``None`` when there is none."""
    earliest = (await session.execute(select(func.min(_TIMER.c.due_ms) - now_ms()))).scalar_one_or_none()
    return None if earliest is None else max(0, int(earliest))


async def is_put_back(session: AsyncSession) -> bool:
    """Return whether a timer or a lease lies further ahead than any was ever set: the clock was put back since."""
    return bool((await session.execute(_PUT_BACK)).scalar_one())


_LATE_TIMER = _TIMER.c.due_ms - _TIMER.c.wait_ms > now_ms() + 1_000
_LATE_LEASE = and_(_RUN.c.status == "RUNNING", _RUN.c.lease_until > now_ms() + _AHEAD_MS)
_PUT_BACK = select(or_(exists().where(_LATE_TIMER), exists().where(_LATE_LEASE)))


async def begin_terms_again(session: AsyncSession) -> None:
    """Let each such timer and lease begin its term now: the one is due, and a dead owner is missed, no later for it."""
    await session.execute(update(_TIMER).where(_LATE_TIMER).values(due_ms=now_ms() + _TIMER.c.wait_ms))
    await session.execute(update(_RUN).where(_LATE_LEASE).values(lease_until=now_ms() + LEASE_MS))


async def take_overdue(session: AsyncSession, *, lock: bool) -> list[dict[str, Any]]:
    """Return up to 100 open runs past their deadline or in a crash loop, locked if asked for."""
    statement = (
        select(_RUN)
        .where(
            _RUN.c.status.in_(OPEN),
            or_(
                _RUN.c.deadline_ms <= now_ms(),
                and_(_RUN.c.claims >= MAX_CLAIMS, _RUN.c.lease_until <= now_ms()),
            ),
        )
        .order_by(_RUN.c.seq)
        .limit(100)
    )
    if lock:
        statement = statement.with_for_update(skip_locked=True)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def end_run(session: AsyncSession, run: str, epoch: int, changes: dict[str, Any]) -> bool:
    """End a run from outside its worker, under a new epoch, unless its state moved on; return whether it did."""
    statement = (
        update(_RUN)
        .where(_RUN.c.id == run, _RUN.c.epoch == epoch, _RUN.c.status.in_(OPEN))
        .values(**changes, epoch=epoch + 1, owner="", lease_until=0, finished_ms=now_ms())
    )
    await session.execute(delete(_TIMER).where(_TIMER.c.run == run))
    return row_count(await session.execute(statement)) == 1


async def insert_snapshot(session: AsyncSession, row: dict[str, Any]) -> None:
    """Store an immutable graph."""
    await session.execute(insert(_SNAPSHOT).values(**row, created_ms=now_ms()))
