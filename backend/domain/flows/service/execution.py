"""One run, from its claim to its end, suspension or loss."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from backend.domain.flows.errors import BudgetExhausted, NodeUnsupported
from backend.domain.flows.ports import Effect, NodeServices, NodeType, RunFacts, StepResult, Work
from backend.domain.flows.repository.runs import Claimed
from backend.domain.flows.rules import Node, effect_key, retry_wait_ms
from backend.domain.flows.service.journal import Cancelled, Journal
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished
from backend.foundation.kernel.errors import AutoWeaveError, Fenced
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import AgentId, RunId, TenantId, new_id
from backend.foundation.live.service import RunWriter
from backend.foundation.telemetry.metrics import RUN_SECONDS, RUNS, STEPS
from backend.foundation.telemetry.tracing import span
from backend.governance.budgets.rules import Limits, Reservation, Spent, exceeded

MAX_ATTEMPTS = 4
_SPANS = {"turn": "model.turn", "tool": "flows.tool"}
_log = structlog.get_logger("flows")


class Suspended(Exception):
    """The run waits for a timer; this worker is done with it."""


class Execution:
    """Runs the nodes of a chain over a journal.

    Finished steps are taken from the journal, so a resumed run goes through its nodes again and repeats only what was
    not stored. ``stop`` ends it early: for a cancel the partial result is kept, otherwise the run is left to its next
    owner.
    """

    def __init__(
        self,
        claimed: Claimed,
        chain: tuple[tuple[Node, NodeType], ...],
        journal: Journal,
        services: NodeServices,
        writer: RunWriter,
    ) -> None:
        self.claimed = claimed
        self.journal = journal
        self.services = services
        self.writer = writer
        self.texts: dict[str, str] = {}
        self.facts = RunFacts(
            id=RunId(claimed.id),
            tenant=TenantId(claimed.tenant),
            agent=AgentId(claimed.agent),
            lane=claimed.lane,
            seq=claimed.seq,
            input=claimed.input,
            limits=msgspec.convert(claimed.limits, Limits),
        )
        self.reserved = Reservation()
        self.active = 0
        self.suspended = False
        self._chain = chain
        self._stop: str = ""
        self._began = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self, done: Callable[["Execution"], None]) -> None:
        """Begin in a task of its own; ``done`` is called when the task has ended in any way."""
        self._task = asyncio.create_task(self._guarded(), name=f"run-{self.claimed.id}")
        self._task.add_done_callback(lambda _: done(self))

    def stop(self, reason: str) -> None:
        """End it: ``cancel`` keeps what came, ``lost`` and ``shutdown`` leave it to the next owner."""
        if self._task is not None and not self._task.done():
            self._stop = self._stop or reason
            self._task.cancel()

    async def ended(self) -> None:
        """Wait for the end of its task."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _guarded(self) -> None:
        claimed = self.claimed
        facts = {
            "autoweave.run.id": claimed.id,
            "autoweave.agent.id": claimed.agent,
            "autoweave.run.epoch": claimed.epoch,
        }
        try:
            with span("run", tenant=claimed.tenant, parent=claimed.traceparent or None, attributes=facts):
                await self._to_the_end()
        except Suspended:
            self.suspended = True
        except Fenced:
            pass
        except asyncio.CancelledError:
            if self._stop == "cancel":
                await self._cancelled()
        except AutoWeaveError as error:
            # The end could not be stored: the lease runs out and another claim goes on.
            _log.warning("run_not_stored", run=self.claimed.id, code=error.code, reason=error.message)

    async def _to_the_end(self) -> None:
        try:
            if self.claimed.cancel:
                raise Cancelled
            self.writer.status({"status": "RUNNING"})
            value: Any = self.claimed.input
            for node, node_type in self._chain:
                value = await NodeRun(self, node).execute(node_type, value)
            await self._finish("SUCCEEDED", str(value))
        except Cancelled:
            await self._cancelled()
        except (Fenced, Suspended):
            raise
        except AutoWeaveError as error:
            await self._finish("FAILED", self.partial(), error)
        except Exception:  # noqa: BLE001 - the edge of a run: it must end, and the log must say why
            _log.exception("run_failed", run=self.claimed.id)
            await self._finish("FAILED", self.partial(), AutoWeaveError("Something in AutoWeave failed on this run."))

    def partial(self) -> str:
        """Return what the model has said until now."""
        return "\n\n".join(text for text in self.texts.values() if text)

    async def _cancelled(self) -> None:
        await asyncio.shield(self._finish("CANCELLED", self.partial()))

    async def _finish(self, status: str, output: str, error: AutoWeaveError | None = None) -> None:
        claimed = self.claimed
        code, message, hint = (error.code, error.message, error.hint) if error else ("", "", "")
        event = Event(
            type="flows.run_finished.v1",
            tenant=self.facts.tenant,
            key=claimed.lane,
            source="/flows",
            subject=claimed.id,
            traceparent=claimed.traceparent,
            data=RunFinished(
                run=claimed.id,
                agent=claimed.agent,
                thread=claimed.thread,
                trigger=claimed.trigger,
                source=claimed.source,
                status=status,
                output=output,
                error_code=code,
                error_message=message,
                error_hint=hint,
            ),
        )
        changes = {
            "status": status,
            "output": output,
            "error_code": code,
            "error_message": message,
            "error_hint": hint,
        }
        hit("flows.finish.before")
        await self.journal.finish(changes, event)
        hit("flows.finish.after")
        RUNS.labels(status).inc()
        RUN_SECONDS.observe(time.monotonic() - self._began)
        await self.writer.done({"status": status, "output": output, "code": code, "message": message, "hint": hint})


class StepProgress:
    """What a running step shows; the text is kept for the case that it is stopped."""

    def __init__(self, execution: Execution, path: str) -> None:
        self.path = path
        self.effect_key = effect_key(execution.claimed.id, path)
        self._execution = execution

    def token(self, text: str) -> None:
        texts = self._execution.texts
        texts[self.path] = texts.get(self.path, "") + text
        self._execution.writer.token(self.path, text)

    def tool(self, data: Any) -> None:
        self._execution.writer.tool(self.path, dict(data))


class NodeRun:
    """One node of a run, and the context that its type sees."""

    def __init__(self, execution: Execution, node: Node) -> None:
        self.run = execution.facts
        self.services = execution.services
        self._execution = execution
        self._journal = execution.journal
        self._node = node
        self._path = f"{node.id}#0"

    @property
    def spent(self) -> Spent:
        return self._journal.spent

    async def execute(self, node_type: NodeType, value: Any) -> Any:
        """Run the node, or return its stored result."""
        if node_type.version < self._node.version:
            raise NodeUnsupported(f"Node {self._node.id!r} needs version {self._node.version} of {self._node.type!r}.")
        stored = self._journal.stored.get(self._path)
        if stored is not None and stored.status == "DONE":
            return stored.output
        started = time.monotonic()
        row = {"node": self._node.id, "kind": self._node.type, "input": None}
        self._journal.add_step(self._path, row | {"status": "STARTED", "started_ms": _now_ms()})
        try:
            output = await node_type.run(self, self._node.config, value)
        except (AutoWeaveError, asyncio.CancelledError) as error:
            self._end(row, started, "FAILED" if isinstance(error, AutoWeaveError) else "CANCELLED", None, error)
            raise
        self._end(row, started, "DONE", output, None)
        return output

    def _end(self, row: dict[str, Any], started: float, status: str, output: Any, error: BaseException | None) -> None:
        duration = _elapsed(started)
        self._journal.add_step(
            self._path,
            row
            | {
                "status": status,
                "output": output,
                "error": _words(error),
                "duration_ms": duration,
                "started_ms": _now_ms() - duration,
            },
        )

    async def step(
        self, path: str, *, kind: str, effect: Effect, input: Any, work: Work, reserve: Reservation | None = None
    ) -> StepResult:
        full = f"{self._path}/{path}"
        stored = self._journal.stored.get(full)
        if stored is not None and stored.status in ("DONE", "UNKNOWN"):
            if kind == "turn":
                self._execution.texts[full] = str(stored.output.get("text", ""))
            return StepResult(output=stored.output, error=stored.error, spent=stored.spent)
        row: dict[str, Any] = {"node": self._node.id, "kind": kind, "input": input}
        attempt = await self._begin(full, row, effect, reserve or Reservation())
        if attempt == 0:
            return StepResult(output=None, error="It is not known whether this took effect.")
        return await self._attempt(full, row | {"attempt": attempt}, work, reserve or Reservation())

    async def _begin(self, path: str, row: dict[str, Any], effect: Effect, reserve: Reservation) -> int:
        """Store that the step starts; return the attempt's number, 0 when it may not start again."""
        stored = self._journal.stored.get(path)
        attempt = 1
        if stored is not None:
            attempt = stored.attempt + 1
            if stored.status == "STARTED":
                self._journal.add_attempt(path, stored.attempt, "INTERRUPTED", "The worker died.", 0)
                if effect == "at_most_once":
                    self._journal.add_step(path, row | {"status": "UNKNOWN", "attempt": stored.attempt})
                    return 0
        self._reserve(reserve)
        self._journal.add_step(
            path,
            row
            | {
                "status": "STARTED",
                "attempt": attempt,
                "effect_key": effect_key(self.run.id, path),
                "reserved_tokens": reserve.tokens,
                "reserved_micros": reserve.cost_micros,
                "started_ms": _now_ms(),
            },
        )
        hit(f"flows.{row['kind']}.before_started")
        await self._journal.flush()
        hit(f"flows.{row['kind']}.started")
        return attempt

    def _reserve(self, wanted: Reservation) -> None:
        held = self._execution.reserved
        asked = _sum(held, wanted)
        limit = exceeded(self.run.limits, self._journal.spent, asked)
        if limit:
            raise BudgetExhausted(f"The run's limit of {limit} would be passed.")
        self._execution.reserved = asked

    async def _attempt(self, path: str, row: dict[str, Any], work: Work, reserve: Reservation) -> StepResult:
        execution, started = self._execution, time.monotonic()
        row = row | {"effect_key": effect_key(self.run.id, path)}
        if row["attempt"] > 1:
            execution.writer.reset(path)
            execution.texts.pop(path, None)
        execution.active += 1
        try:
            with span(_SPANS.get(row["kind"], "step"), attributes={"autoweave.step.path": path}):
                result = await work(StepProgress(execution, path))
        except asyncio.CancelledError:
            self._store(path, row, started, "CANCELLED", {"text": execution.texts.get(path, "")}, "", Spent())
            raise
        except AutoWeaveError as error:
            if error.retry and row["attempt"] < MAX_ATTEMPTS:
                await self._retry_later(path, row, started, error)
            self._store(path, row, started, "FAILED", {"text": execution.texts.get(path, "")}, error.message, Spent())
            raise
        finally:
            execution.active -= 1
            execution.reserved = _minus(execution.reserved, reserve)
        hit(f"flows.{row['kind']}.done")
        self._journal.settle(result.spent)
        self._store(path, row, started, "DONE", result.output, result.error, result.spent)
        if execution.active:
            # Siblings are still at work: what is finished must not wait for them.
            await self._journal.flush()
        return result

    async def _retry_later(self, path: str, row: dict[str, Any], started: float, error: AutoWeaveError) -> None:
        """Store the failed attempt with a timer and give the run away."""
        asked: float | None = getattr(error, "retry_after", None)
        wait_ms = retry_wait_ms(row["attempt"], asked_s=asked)
        self._journal.add_attempt(path, row["attempt"], "FAILED", error.message, _elapsed(started))
        self._store(path, row, started, "RETRYING", None, error.message, Spent())
        self._execution.writer.status(
            {"status": "WAITING", "reason": error.message, "retry_in_ms": wait_ms, "attempt": row["attempt"]}
        )
        hit("flows.retry.before")
        await self._journal.suspend(path, wait_ms, new_id("tmr"))
        hit("flows.retry.after")
        raise Suspended

    def _store(
        self, path: str, row: dict[str, Any], started: float, status: str, output: Any, error: str, spent: Spent
    ) -> None:
        duration = _elapsed(started)
        STEPS.labels(row["kind"], status).inc()
        self._journal.add_step(
            path,
            row
            | {
                "status": status,
                "output": output,
                "error": error,
                "duration_ms": duration,
                "started_ms": _now_ms() - duration,
                "input_tokens": spent.input_tokens,
                "output_tokens": spent.output_tokens,
                "cost_micros": spent.cost_micros,
            },
        )


def _sum(left: Reservation, right: Reservation) -> Reservation:
    return Reservation(
        tokens=left.tokens + right.tokens,
        cost_micros=left.cost_micros + right.cost_micros,
        tool_calls=left.tool_calls + right.tool_calls,
    )


def _minus(left: Reservation, right: Reservation) -> Reservation:
    return Reservation(
        tokens=left.tokens - right.tokens,
        cost_micros=left.cost_micros - right.cost_micros,
        tool_calls=left.tool_calls - right.tool_calls,
    )


def _elapsed(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _words(error: BaseException | None) -> str:
    return error.message if isinstance(error, AutoWeaveError) else ""
