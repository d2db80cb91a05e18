"""What of one run is stored, what waits to be, and what it has used."""

from collections.abc import Mapping
from typing import Any

from backend.domain.flows.repository.commits import Commit, Verdict
from backend.domain.flows.repository.reads import StoredStep
from backend.domain.flows.repository.runs import Claimed
from backend.domain.flows.service.commits import Committer
from backend.foundation.events.envelope import Event
from backend.governance.budgets.rules import Spent


class Cancelled(Exception):
    """A commit found that a cancel is asked for: nothing may follow."""


class Journal:
    """Buffers rows of pure steps and results until the next effect, the end or a suspension, then commits them at once.

    Nothing outside happens between buffering and the commit, so a crash in between repeats only pure work.
    """

    def __init__(self, run: Claimed, committer: Committer, stored: Mapping[str, StoredStep]) -> None:
        self.run = run
        self.stored = dict(stored)
        self.spent = Spent()
        for step in stored.values():
            self.spent = self.spent.plus(step.spent)
        self._committer = committer
        self._steps: dict[str, dict[str, Any]] = {}
        self._positions = {path: position for position, path in enumerate(stored)}
        self._attempts: list[dict[str, Any]] = []
        self._progress = False

    def add_step(self, path: str, row: dict[str, Any]) -> None:
        """Buffer a step's row, in place of an older one of the same path."""
        position = self._positions.setdefault(path, len(self._positions))
        fixed = {"run": self.run.id, "tenant": self.run.tenant, "path": path, "epoch": self.run.epoch}
        self._steps[path] = fixed | {"position": position} | row
        self._progress = self._progress or row["status"] == "DONE"

    def add_attempt(self, path: str, attempt: int, status: str, error: str, duration_ms: int) -> None:
        """Buffer the row of a try that did not succeed."""
        self._attempts.append(
            {
                "run": self.run.id,
                "tenant": self.run.tenant,
                "path": path,
                "attempt": attempt,
                "status": status,
                "error": error,
                "started_ms": 0,
                "duration_ms": duration_ms,
            }
        )

    def settle(self, spent: Spent) -> None:
        """Count what a step used."""
        self.spent = self.spent.plus(spent)

    async def flush(self) -> None:
        """Commit what is buffered; raise `Fenced`, or `Cancelled` when nothing may follow."""
        if await self._commit({}) == "cancelled":
            raise Cancelled

    async def suspend(self, path: str, wait_ms: int, timer: str) -> None:
        """Commit with a timer and give the run away; raise `Cancelled` when a cancel came before."""
        timers = [
            {
                "id": timer,
                "tenant": self.run.tenant,
                "run": self.run.id,
                "path": path,
                "kind": "retry",
                "wait_ms": wait_ms,
            }
        ]
        if await self._commit({"status": "WAITING"}, timers=timers) == "cancelled":
            raise Cancelled

    async def finish(self, changes: dict[str, Any], event: Event) -> None:
        """Commit the end of the run together with the event that tells it."""
        await self._commit(changes, events=[event])

    async def _commit(
        self, changes: dict[str, Any], *, timers: list[dict[str, Any]] | None = None, events: list[Event] | None = None
    ) -> Verdict:
        steps, attempts, progress = list(self._steps.values()), self._attempts, self._progress
        self._steps, self._attempts, self._progress = {}, [], False
        return await self._committer.commit(
            Commit(
                run=self.run.id,
                tenant=self.run.tenant,
                epoch=self.run.epoch,
                steps=steps,
                attempts=attempts,
                timers=timers or [],
                changes=self._usage() | changes,
                events=events or [],
                progress=progress,
            )
        )

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.spent.input_tokens,
            "output_tokens": self.spent.output_tokens,
            "cost_micros": self.spent.cost_micros,
            "tool_calls": self.spent.tool_calls,
        }
