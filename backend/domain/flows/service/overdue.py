"""Runs that no worker will end: past their deadline, or after five claims without a step."""

from typing import Any

from backend.domain.flows.errors import CrashLoop, DeadlineExceeded
from backend.domain.flows.repository import runs as rows
from backend.domain.flows.rules import MAX_CLAIMS
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.ports import Database


async def end_overdue(db: Database, bus: BusService) -> int:
    """Fail what is overdue under a new epoch, so that a worker that still runs it is fenced; return how many."""
    async with db.system_read() as session:
        if not await rows.take_overdue(session, lock=False):
            return 0
    hit("flows.overdue.before")
    async with db.system_write() as session:
        overdue = await rows.take_overdue(session, lock=True)
        for run in overdue:
            if run["claims"] < MAX_CLAIMS:
                await end_with(session, bus, run, "FAILED", DeadlineExceeded("The run was not done in its time."))
                continue
            error = CrashLoop("The run was claimed five times without a step forward.")
            if await end_with(session, bus, run, "FAILED", error):
                await bus.give_up(session, "flows", _again(run), error, run["claims"])
    hit("flows.overdue.after")
    return len(overdue)


def _again(run: dict[str, Any]) -> Event:
    """Return the event that would start the run anew."""
    return Event(
        type="agents.start_run.v1", tenant=TenantId(run["tenant"]), key=run["lane"], source="/flows",
        subject=run["id"], traceparent=run["traceparent"],
        data=StartRun(agent=run["agent"], input=run["input"], thread=run["thread"]),
    )  # fmt: skip


async def end_with(
    session: Any, bus: BusService, run: dict[str, Any], status: str, error: AutoWeaveError | None
) -> bool:
    """End a run that its worker does not end, and tell it; return whether it was still open."""
    code, message, hint = (error.code, error.message, error.hint) if error else ("", "", "")
    changes = {"status": status, "error_code": code, "error_message": message, "error_hint": hint}
    if not await rows.end_run(session, run["id"], run["epoch"], changes):
        return False
    finished = RunFinished(
        run=run["id"], agent=run["agent"], thread=run["thread"], trigger=run["trigger"],
        source=run["source"], status=status, output=run["output"], error_code=code, error_message=message,
        error_hint=hint,
    )  # fmt: skip
    await bus.publish(
        session,
        Event(
            type="flows.run_finished.v1", tenant=TenantId(run["tenant"]), key=run["lane"], source="/flows",
            subject=run["id"], traceparent=run["traceparent"], data=finished,
        ),
    )  # fmt: skip
    return True
