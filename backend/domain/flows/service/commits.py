"""Group commit: what many runs want to write goes into one fenced transaction."""

import asyncio
from collections import deque
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.flows.repository.commits import Commit, Verdict, write_group
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.errors import AutoWeaveError, Fenced, Unavailable
from backend.foundation.kernel.ports import Database

_GROUP = 64
_log = structlog.get_logger("flows.commits")


class Outbox(Protocol):
    """Where events go in the same transaction: the bus room's service."""

    async def publish(self, session: AsyncSession, *events: Event) -> None:
        """Write events in the session's transaction, and wake whoever sends them after it."""
        ...


class Committer:
    """Collects commits while a transaction is under way and writes them in the next one.

    An idle committer writes at once, so that a lone run waits for nobody; a busy one writes up to 64 runs a
    transaction. A transaction that fails as a whole is tried again one by one, so that one bad row harms one run.
    """

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox
        self._waiting: deque[tuple[Commit, asyncio.Future[Verdict]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def commit(self, commit: Commit) -> Verdict:
        """Return once it is durable; raise `Fenced` when another owns the run, `Unavailable` when nothing came down."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="flows-commit")
        verdict = await asyncio.shield(future)
        if verdict == "fenced":
            raise Fenced(f"Run {commit.run} is owned by another worker now.")
        return verdict

    async def _write_all(self) -> None:
        # Commits of the same turn of the loop go together.
        await asyncio.sleep(0)
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
            try:
                await self._write(group)
            except Exception as error:  # noqa: BLE001 - each waiter gets it, the loop goes on
                await self._one_by_one(group, error)

    async def _write(self, group: list[tuple[Commit, asyncio.Future[Verdict]]]) -> None:
        async with self._db.system_write() as session:
            verdicts = await write_group(session, [commit for commit, _ in group])
            events = [
                event
                for (commit, _), verdict in zip(group, verdicts, strict=True)
                if verdict != "fenced"
                for event in commit.events
            ]
            if events:
                await self._outbox.publish(session, *events)
        for (_, future), verdict in zip(group, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)

    async def _one_by_one(self, group: list[tuple[Commit, asyncio.Future[Verdict]]], error: Exception) -> None:
        for entry in group:
            if len(group) > 1:
                try:
                    await self._write([entry])
                    continue
                except Exception as alone:  # noqa: BLE001 - given to the waiter
                    error = alone
            if not entry[1].done():
                entry[1].set_exception(_plain(error))


def _plain(error: Exception) -> AutoWeaveError:
    if isinstance(error, AutoWeaveError):
        return error
    # Whoever waits learns only that it was not stored.
    _log.error("commit_failed", exc_info=error)
    failure = Unavailable("The step could not be stored.")
    failure.__cause__ = error
    return failure
