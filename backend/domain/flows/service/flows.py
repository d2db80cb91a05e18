"""The verbs of flows: start, look at, cancel and wait for runs; store snapshots."""

import asyncio
import contextlib
import time
from types import SimpleNamespace
from typing import Any

import msgspec
from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.flows.errors import RunNotFound
from backend.domain.flows.models import RunRow
from backend.domain.flows.repository import lists, reads
from backend.domain.flows.repository import runs as rows
from backend.domain.flows.rules import OPEN, Graph, RunsWanted, chain, parse_place
from backend.domain.flows.service.endings import Endings
from backend.domain.flows.service.overdue import end_with
from backend.domain.flows.views import FINISHED, RunsPage, RunView, StepView
from backend.foundation.bus.service import BusService
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import AgentId, RunId, SnapshotId, TenantId, ThreadId, new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.kernel.work import after_commit
from backend.foundation.live.rules import cancel_channel, runs_channel
from backend.foundation.live.service import Live
from backend.governance.budgets.rules import Limits

_POLL_S = 1.0


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is started with; ``trigger`` is unique for its agent, a second start with it is the same run."""

    tenant: TenantId
    agent: AgentId
    snapshot: SnapshotId
    input: str
    trigger: str
    source: str
    subject: str
    thread: str = ""
    traceparent: str = ""
    limits: Limits = Limits()


class Flows:
    """Runs and snapshots of a tenant."""

    def __init__(self, db: Database, bus: BusService, live: Live) -> None:
        self._db = db
        self._bus = bus
        self._live = live
        self._endings = Endings(live)

    async def publish_snapshot(
        self, session: AsyncSession, tenant: TenantId, agent: AgentId, graph: Graph
    ) -> SnapshotId:
        """Store a graph as the agent's next immutable snapshot; raise `GraphInvalid` for one that cannot run."""
        chain(graph)
        snapshot = SnapshotId(new_id("snp"))
        number = await reads.last_number(session, agent) + 1
        row = {"id": snapshot, "tenant": tenant, "agent": agent, "number": number, "graph": msgspec.to_builtins(graph)}
        await rows.insert_snapshot(session, row)
        return snapshot

    async def start(self, session: AsyncSession, start: RunStart) -> RunView:
        """Insert a run in the caller's unit of work and wake workers after it; the same trigger is the same run."""
        run = RunId(new_id("run"))
        row: dict[str, Any] = {
            "id": run, "tenant": start.tenant, "agent": start.agent, "snapshot": start.snapshot,
            "lane": start.thread or run, "thread": start.thread, "trigger": start.trigger, "source": start.source,
            "subject": start.subject, "status": "QUEUED", "owner": "", "epoch": 0, "lease_until": 0, "claims": 0,
            "cancel": False, "input": start.input, "output": "", "error_code": "", "error_message": "",
            "error_hint": "", "limits": msgspec.to_builtins(start.limits), "input_tokens": 0, "output_tokens": 0,
            "cost_micros": 0, "tool_calls": 0, "traceparent": start.traceparent, "started_ms": 0, "finished_ms": 0,
        }  # fmt: skip
        created_ms = await rows.insert_run(session, row, wall_ms=start.limits.wall_s * 1000)
        if created_ms is None:
            known = await reads.run_of_trigger(session, start.tenant, start.agent, start.trigger)
            return reads.run_view(known or await _row(session, start.tenant, run))
        after_commit(session, self._wake)
        return reads.run_view(SimpleNamespace(**row, created_ms=created_ms))

    async def get(self, caller: Caller, run: str) -> RunView:
        """Return a run; raise `RunNotFound` for none of this tenant."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            return reads.run_view(await _row(session, caller.tenant, run))

    async def with_steps(self, caller: Caller, run: str) -> tuple[RunView, list[StepView]]:
        """Return a run and its steps in the order in which they began; raise `RunNotFound` for none of this tenant."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            view = reads.run_view(await _row(session, caller.tenant, run))
            return view, [reads.step_view(row) for row in await reads.steps_of(session, caller.tenant, run)]

    async def page(self, caller: Caller, wanted: RunsWanted) -> RunsPage:
        """Return a page of an agent's runs but for those of chats; raise `Invalid` for a place that was made up."""
        caller.require(Permission.AGENTS_READ)
        after = parse_place(wanted.after) if wanted.after else None
        async with self._db.read(caller.tenant) as session:
            return await lists.page(session, caller.tenant, wanted, after)

    async def open_in(self, caller: Caller, thread: ThreadId) -> list[RunView]:
        """Return the unfinished runs of a thread, oldest first."""
        caller.require(Permission.AGENTS_READ)
        async with self._db.read(caller.tenant) as session:
            return [reads.run_view(row) for row in await reads.open_runs(session, caller.tenant, thread)]

    async def cancel(self, caller: Caller, run: str) -> RunView:
        """Ask a run to stop; what came until then is kept. One that nobody works on ends at once."""
        caller.require(Permission.AGENTS_RUN)
        async with self._db.write(caller.tenant) as session:
            statement = update(RunRow).where(col(RunRow.id) == run, col(RunRow.status).in_(OPEN)).values(cancel=True)
            await session.execute(statement)
            row = await _row(session, caller.tenant, run)
            if row.status in ("QUEUED", "WAITING"):
                values = dict(row._mapping)  # pyright: ignore[reportPrivateUsage] - its public name
                await end_with(session, self._bus, values, "CANCELLED", None)
                row = await _row(session, caller.tenant, run)
                after_commit(session, self._wake)
        await self._tell_cancelled(row)
        return reads.run_view(row)

    async def _tell_cancelled(self, row: Row[Any]) -> None:
        """Wake whoever works on the run, or whoever reads its stream; both also look at the row."""
        with contextlib.suppress(Unavailable):
            if row.status == "CANCELLED":
                await self._live.writer(RunId(row.id), row.epoch).done({"status": row.status, "output": row.output})
            else:
                await self._live.notify(cancel_channel(), row.id.encode())

    async def outcome(self, caller: Caller, run: RunView, timeout_s: float) -> tuple[RunView, list[StepView]]:
        """Wait for the end of a run that was just looked at; return it with its steps, or as it is after the time-out.

        Its end is heard by notice, and seen in its row once a second.
        """
        if run.status in FINISHED:
            return await self.with_steps(caller, run.id)
        until = time.monotonic() + timeout_s
        with self._endings.watch(run.id) as ended:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(_POLL_S, until - time.monotonic())):
                        await ended.wait()
                ended.clear()
                view, steps = await self.with_steps(caller, run.id)
                if view.status in FINISHED or time.monotonic() >= until:
                    return view, steps

    async def close(self) -> None:
        """Stop listening."""
        await self._endings.close()

    def _wake(self) -> None:
        self._live.notify_soon(runs_channel())


async def _row(session: AsyncSession, tenant: TenantId, run: str) -> Row[Any]:
    row = await reads.run_row(session, tenant, run)
    if row is None:
        raise RunNotFound(f"There is no run {run!r}.")
    return row
