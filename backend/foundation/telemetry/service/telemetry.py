"""The verbs of telemetry."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context

from sqlalchemy.exc import SQLAlchemyError

from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import metrics, repository
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.models import TelemetryProcess, TelemetrySpan
from backend.foundation.telemetry.ports import SpanExporter, SpanRecord
from backend.foundation.telemetry.service.exports import Export
from backend.foundation.telemetry.service.heart import Heart
from backend.foundation.telemetry.service.limits import Limits
from backend.foundation.telemetry.service.recorder import Recorder
from backend.foundation.telemetry.tracing.current import record_nowhere, record_to
from backend.foundation.telemetry.views import ProcessView, RoleView, TelemetryHealth, TraceSummary

_log = get_logger("telemetry")
SPANS_MAX = 2_000
"""Spans of a trace that are read at most."""

_RECENT_MAX = 200


class Telemetry:
    """Spans, heartbeats and figures of this process.

    Args:
        db: where rows go; spans of all tenants share batches, so it is used for all tenants.
        service: the process's name in traces and logs, such as ``web`` or ``worker``.
        roles: what the process does, for the health page.
        exporters: further places for spans.
    """

    def __init__(
        self,
        db: Database,
        service: str,
        *,
        roles: Sequence[str] = (),
        limits: Limits | None = None,
        exporters: Sequence[SpanExporter] = (),
    ) -> None:
        self._db = db
        self._limits = limits or Limits()
        self._exports = [Export(exporter) for exporter in exporters]
        self._recorder = Recorder(db, service, self._limits, self._export)
        self._heart = Heart(db, service, roles or (service,), self._limits)
        self._tasks: list[asyncio.Task[None]] = []
        self.figure("spans_waiting", lambda: self._recorder.waiting)
        self.figure("spans_dropped", lambda: self._recorder.dropped)

    async def start(self) -> None:
        """Record this process's spans from now on, and say that it lives; needs no database to be up."""
        record_to(self._recorder.offer, event_ratio=self._limits.event_ratio)
        for work in (self._recorder.run(), self._heart.run(), self._sweeps(), *(one.run() for one in self._exports)):
            self._spawn(work)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        # A context of its own: this work belongs to no trace, whoever starts it.
        self._tasks.append(asyncio.create_task(work, context=Context()))

    async def close(self) -> None:
        """Store what waits within a few seconds, count the rest as dropped, and take the heartbeat away."""
        record_nowhere()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._recorder.close()
        await asyncio.gather(self._heart.stop(), *(self._close_export(one) for one in self._exports))

    async def _close_export(self, export: Export) -> None:
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await export.close()
        except TimeoutError:
            _log.warning("spans not exported at the end")

    async def flush(self) -> None:
        """Store what waits now, so that it can be read."""
        await self._recorder.flush()

    def figure(self, name: str, read: Callable[[], float]) -> None:
        """Add a figure of a room (``runs_active``) to the heartbeat; ``read`` is called every few seconds."""
        self._heart.add(name, read)

    def health(self) -> TelemetryHealth:
        """Return whether this process's spans are stored; never waits."""
        recorder = self._recorder
        return TelemetryHealth(
            ok=not recorder.cause,
            detail=f"{recorder.stored} spans stored, {recorder.dropped} dropped",
            stored=recorder.stored,
            dropped=recorder.dropped,
            waiting=recorder.waiting,
            limit=self._limits.waiting,
            cause=recorder.cause,
            fix="Check the database: spans wait in memory and are dropped when it is full." if recorder.cause else "",
        )

    async def spans_of(self, caller: Caller, trace_id: str) -> list[SpanRecord]:
        """Return the caller's tenant's spans of a trace in order of start, at most 2,000; empty for another's."""
        caller.require(Permission.TRACES_READ)
        async with self._db.read(caller.tenant) as session:
            rows = await repository.spans_of_trace(session, caller.tenant, trace_id, SPANS_MAX)
            return [_record(row) for row in rows]

    async def recent(
        self, caller: Caller, *, limit: int = 50, text: str = "", status: str = "", at_least_ms: int = 0
    ) -> list[TraceSummary]:
        """Return the tenant's newest traces, newest first, at most 200.

        Args:
            text: what the title must contain, in any case.
            status: ``ok``, ``error`` or ``cancelled``; empty for any.
            at_least_ms: how long it must have taken.
        """
        caller.require(Permission.TRACES_READ)
        async with self._db.read(caller.tenant) as session:
            rows = await repository.newest_entries(
                session,
                caller.tenant,
                max(1, min(limit, _RECENT_MAX)),
                text=text,
                status=status,
                at_least_us=at_least_ms * 1_000,
            )
            return [_summary(row) for row in rows]

    async def processes(self, caller: Caller) -> list[ProcessView]:
        """Return the processes of this installation that were seen within the last hour."""
        caller.require(Permission.HEALTH_READ)
        async with self._db.system_read() as session:
            found = await repository.processes(session)
            return [self._process(row, age) for row, age in found]

    async def role(self, caller: Caller, role: str) -> RoleView:
        """Return whether a process with a role lives; costs one small query."""
        caller.require(Permission.HEALTH_READ)
        async with self._db.system_read() as session:
            mine = [row for row in await repository.signs_of_life(session) if role in row.roles]
        alive = [row for row in mine if row.age < self._limits.dead_ms]
        return RoleView(
            alive=bool(alive),
            started_ms=min((row.started_ms for row in alive), default=0),
            seen_ms=max((row.seen_ms for row in mine), default=0),
        )

    async def exposition(self) -> bytes:
        """Return all processes' figures as Prometheus' text; the door limits who may read it.

        With the database down it holds this process's own.
        """
        others: dict[str, metrics.Samples] = {}
        try:
            async with self._db.system_read() as session:
                for row, age in await repository.processes(session):
                    if row.id != self._heart.id and age < self._limits.dead_ms:
                        others[row.id] = row.samples
        except (AutoWeaveError, SQLAlchemyError, OSError) as error:
            _log.info("figures of this process only", error=str(error))
        return metrics.exposition(self._heart.id, others)

    def _process(self, row: TelemetryProcess, age: int) -> ProcessView:
        return ProcessView(
            id=row.id,
            service=row.service,
            roles=tuple(row.roles),
            host=row.host,
            pid=row.pid,
            started_ms=row.started_ms,
            seen_ms=row.seen_ms,
            alive=age < self._limits.dead_ms,
            figures=row.figures,
        )

    def _export(self, batch: Sequence[SpanRecord]) -> None:
        for export in self._exports:
            export.offer(batch)

    async def _sweeps(self) -> None:
        while True:
            # Not all processes at once.
            await asyncio.sleep(self._limits.sweep_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            try:
                await self._recorder.sweep()
            except (AutoWeaveError, SQLAlchemyError, OSError) as error:
                _log.info("old spans not deleted", error=str(error))


def _record(row: TelemetrySpan) -> SpanRecord:
    return SpanRecord(
        tenant=row.tenant,
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent=row.parent,
        name=row.name,
        service=row.service,
        kind=row.kind,
        start_us=row.start_us,
        duration_us=row.duration_us,
        status=row.status,
        attributes=row.attributes,
    )


def _summary(row: TelemetrySpan) -> TraceSummary:
    return TraceSummary(
        id=row.trace_id,
        title=row.name,
        service=row.service,
        started_ms=row.start_us // 1_000,
        duration_ms=row.duration_us / 1_000,
        status=row.status,
    )
