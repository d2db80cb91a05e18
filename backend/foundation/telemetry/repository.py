"""Queries of telemetry."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import CursorResult, Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.kernel.tables import now_ms
from backend.foundation.telemetry.models import TelemetryProcess, TelemetrySpan
from backend.foundation.telemetry.ports import SpanRecord

_SPANS = cast("Any", TelemetrySpan).__table__
_PROCESSES = cast("Any", TelemetryProcess).__table__
_RECORD = tuple(field.name for field in fields(SpanRecord))


def _insert(session: AsyncSession, table: Any) -> Any:
    dialect = session.get_bind().dialect.name
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


async def insert_spans(session: AsyncSession, spans: Sequence[SpanRecord]) -> None:
    """Store the spans; one that is stored already (an earlier try whose answer was lost) is left alone."""
    await session.execute(_insert(session, _SPANS).on_conflict_do_nothing(), [_row(span) for span in spans])


def _row(span: SpanRecord) -> dict[str, Any]:
    return {name: getattr(span, name) for name in _RECORD} | {"entry": span.kind == "server" or not span.parent}


async def spans_of_trace(session: AsyncSession, tenant: str, trace_id: str, limit: int) -> Sequence[TelemetrySpan]:
    """Return the tenant's spans of a trace in order of start, the first ``limit`` of them."""
    query = select(TelemetrySpan).where(col(TelemetrySpan.tenant) == tenant, col(TelemetrySpan.trace_id) == trace_id)
    result = await session.execute(query.order_by(col(TelemetrySpan.start_us), col(TelemetrySpan.id)).limit(limit))
    return result.scalars().all()


async def newest_entries(
    session: AsyncSession, tenant: str, limit: int, *, text: str = "", status: str = "", at_least_us: int = 0
) -> Sequence[TelemetrySpan]:
    """Return the spans by which the tenant's newest traces were entered, newest first, those alone that fit."""
    query = select(TelemetrySpan).where(col(TelemetrySpan.tenant) == tenant, col(TelemetrySpan.entry).is_(True))
    if text:
        query = query.where(col(TelemetrySpan.name).icontains(text, autoescape=True))
    if status:
        query = query.where(col(TelemetrySpan.status) == status)
    if at_least_us:
        query = query.where(col(TelemetrySpan.duration_us) >= at_least_us)
    result = await session.execute(query.order_by(col(TelemetrySpan.start_us).desc()).limit(limit))
    return result.scalars().all()


async def delete_oldest(session: AsyncSession, *, keep: int, keep_ms: int, at_most: int) -> int:
    """Delete up to ``at_most`` of the oldest spans, those that are too many or too old; return how many."""
    first = select(_SPANS.c.id, _SPANS.c.start_us).order_by(_SPANS.c.id).limit(at_most).subquery()
    newest = select(func.max(_SPANS.c.id)).scalar_subquery()
    gone = select(first.c.id).where(
        (first.c.id <= newest - keep) | (first.c.start_us < (now_ms() - keep_ms) * 1_000),
    )
    result = await session.execute(delete(_SPANS).where(_SPANS.c.id.in_(gone)))
    return cast("CursorResult[Any]", result).rowcount


async def upsert_process(session: AsyncSession, values: dict[str, Any]) -> None:
    """Write a process's heartbeat by the database's clock; the start is kept from the first one."""
    insert = _insert(session, _PROCESSES).values(**values, started_ms=now_ms(), seen_ms=now_ms())
    changed = {name: values[name] for name in ("figures", "samples")} | {"seen_ms": now_ms()}
    await session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=changed))


async def processes(session: AsyncSession) -> Sequence[Row[tuple[TelemetryProcess, int]]]:
    """Return each process and the milliseconds since its last heartbeat."""
    query = select(TelemetryProcess, (now_ms() - col(TelemetryProcess.seen_ms)).label("age"))
    return (await session.execute(query.order_by(col(TelemetryProcess.service), col(TelemetryProcess.id)))).all()


_SIGNS = select(
    _PROCESSES.c.roles, _PROCESSES.c.started_ms, _PROCESSES.c.seen_ms, (now_ms() - _PROCESSES.c.seen_ms).label("age")
)


async def signs_of_life(session: AsyncSession) -> Sequence[Row[Any]]:
    """Return each process's roles, start, last heartbeat and the milliseconds since then, without its figures."""
    return (await session.execute(_SIGNS)).all()


async def delete_process(session: AsyncSession, process: str) -> None:
    """Forget a process that ends."""
    await session.execute(delete(_PROCESSES).where(_PROCESSES.c.id == process))


async def delete_dead_processes(session: AsyncSession, *, unseen_ms: int) -> None:
    """Forget processes that were not seen for so long."""
    await session.execute(delete(_PROCESSES).where(_PROCESSES.c.seen_ms < now_ms() - unseen_ms))
