"""What must be true in the end, whatever was killed: read from the rows, and from the model's own count outside.

Every run ended and told it once; every message has one reply, in the order of the conversation; what took effect
outside (calls of the model) was begun no more often than a stored attempt says; nothing that was given up waits.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlmodel import col

from backend.app import Backend
from backend.domain.chat.models import MessageRow
from backend.domain.flows.models import AttemptRow, RunRow, StepRow
from backend.domain.flows.views import FINISHED
from backend.foundation.bus.models import DeadLetterRow, OutboxRow
from backend.foundation.kernel.ports import Database
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.waiting import until


def model_calls(stub: ModelStub) -> int:
    """How many answers of a model were asked for."""
    return sum("chat/completions" in request["path"] for request in stub.requests())


async def faults(database: Database, calls: int | None = None) -> list[str]:
    """Return a sentence for each thing that is not exact; nothing when all is. ``calls`` is the model's own count."""
    async with database.system_read() as session:
        statuses: Mapping[str, str] = {
            row.id: row.status for row in await session.execute(select(col(RunRow.id), col(RunRow.status)))
        }
        events = (await session.execute(select(col(OutboxRow.headers), col(OutboxRow.sent_ms)))).all()
        found = [f"run {run} is {status}" for run, status in statuses.items() if status not in FINISHED]
        found += _told_once(statuses, [dict(row.headers) for row in events])
        found += [f"{waiting} events wait" for waiting in [sum(row.sent_ms is None for row in events)] if waiting]
        messages = select(MessageRow).order_by(col(MessageRow.thread), col(MessageRow.created_ms), col(MessageRow.id))
        found += _answered_in_order([row for (row,) in await session.execute(messages)])
        steps = (await session.execute(select(col(StepRow.run), col(StepRow.path), col(StepRow.attempt)))).all()
        tries = (await session.execute(select(col(AttemptRow.run), col(AttemptRow.path)))).all()
        found += _counted(steps, Counter((row.run, row.path) for row in tries))
        waiting = select(func.count()).select_from(DeadLetterRow).where(col(DeadLetterRow.status) == "WAITING")
        dead = (await session.execute(waiting)).scalar_one()
        found += [f"{dead} events were given up"] if dead else []
        begun = select(func.coalesce(func.sum(col(StepRow.attempt)), 0)).where(col(StepRow.kind) == "turn")
        allowed = (await session.execute(begun)).scalar_one()
    if calls is not None and calls > allowed:
        found.append(f"the model was asked {calls} times for {allowed} stored attempts")
    return found


async def exact(backend: Backend, stub: ModelStub) -> None:
    """Fail unless everything was done once and told, within 20 s.

    A relay that takes over sends the last events of the one before it again: what has been sent may wait once more.
    """
    found: list[str] = []

    async def nothing_is_wrong() -> bool:
        found[:] = await faults(backend.database, model_calls(stub))
        return not found

    with contextlib.suppress(TimeoutError):
        await until(nothing_is_wrong, 20)
    assert found == []


async def count_of_runs(database: Database) -> int:
    """How many runs there are."""
    async with database.system_read() as session:
        return (await session.execute(select(func.count()).select_from(RunRow))).scalar_one()


async def relayed(database: Database) -> bool:
    """Whether the relay has sent all."""
    async with database.system_read() as session:
        waiting = select(func.count()).select_from(OutboxRow).where(col(OutboxRow.sent_ms).is_(None))
        return (await session.execute(waiting)).scalar_one() == 0


def _told_once(statuses: Mapping[str, str], headers: list[dict[str, str]]) -> list[str]:
    told = Counter(header["ce_subject"] for header in headers if header.get("ce_type") == "flows.run_finished.v1")
    return [f"the end of run {run} was told {told[run]} times" for run in statuses.keys() | told if told[run] != 1]


def _answered_in_order(messages: list[MessageRow]) -> list[str]:
    asked: dict[str, list[str]] = defaultdict(list)
    answered: dict[str, list[str]] = defaultdict(list)
    for row in messages:
        (asked if row.role == "user" else answered)[row.thread].append(row.trigger)
    threads = asked.keys() | answered.keys()
    return [
        f"thread {name}: asked {asked[name]}, answered {answered[name]}"
        for name in threads
        if asked[name] != answered[name]
    ]


def _counted(steps: list, tries: Counter[tuple[str, str]]) -> list[str]:
    return [
        f"{row.run} {row.path}: attempt {row.attempt} after {tries[row.run, row.path]} others"
        for row in steps
        if row.attempt != tries[row.run, row.path] + 1
    ]
