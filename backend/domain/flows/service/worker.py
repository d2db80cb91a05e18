"""The `agents` role's engine: claims runs, keeps their leases, fires timers and ends what is overdue."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from backend.domain.flows.repository import runs as rows
from backend.domain.flows.service.execution import Execution
from backend.domain.flows.service.overdue import end_overdue
from backend.foundation.bus.service import BusService
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ports import Database
from backend.foundation.live.rules import cancel_channel, runs_channel
from backend.foundation.live.service import Live
from backend.foundation.telemetry.metrics import RUN_CLAIMS

_RENEW_S = 5.0
_LOST_AFTER_S = 10.0
_SWEEP_S = 2.0
_log = structlog.get_logger("flows.worker")

Prepare = Callable[[rows.Claimed], Awaitable[Execution]]


class RunWorker:
    """Owns up to ``capacity`` runs at once under one lease holder's name.

    Args:
        owner: this process's id, unique for each start.
        prepare: makes the execution of a claimed run (loads its snapshot and its stored steps).
        capacity: how many runs are at work here at most; more stay queued in the database.
    """

    def __init__(
        self, db: Database, bus: BusService, live: Live, prepare: Prepare, *, owner: str, capacity: int = 64
    ) -> None:
        self._db = db
        self._bus = bus
        self._live = live
        self._prepare = prepare
        self.owner = owner
        self._capacity = capacity
        self._running: dict[str, Execution] = {}
        self._wake = asyncio.Event()
        self._swept = asyncio.Event()
        self._renewed = 0.0
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def active(self) -> int:
        """How many runs are at work here."""
        return len(self._running)

    async def start(self, *, replaces: str = "") -> None:
        """Begin. ``replaces`` is a dead worker whose leases are given back at once."""
        if replaces:
            hit("flows.replaced.before")
            async with self._db.system_write() as session:
                await rows.give_back(session, replaces)
            hit("flows.replaced.after")
        self._renewed = time.monotonic()
        loops = (self._claim_loop, self._renew_loop, self._sweep_loop, self._listen_loop)
        self._tasks = [asyncio.create_task(_forever(loop), name=f"flows{loop.__name__}") for loop in loops]
        self._wake.set()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Claim nothing more, let runs end for ``grace_s`` seconds, give the others back."""
        self._draining = True
        deadline = time.monotonic() + grace_s
        while self._running and time.monotonic() < deadline:
            waiting = [asyncio.ensure_future(execution.ended()) for execution in self._running.values()]
            await asyncio.wait(waiting, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        left = list(self._running.values())
        for execution in left:
            execution.stop("shutdown")
        for execution in left:
            await execution.ended()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        hit("flows.given_back.before")
        async with self._db.system_write() as session:
            await rows.give_back(session, self.owner, [(run.claimed.id, run.claimed.epoch) for run in left])
        hit("flows.given_back.after")
        self._live.notify_soon(runs_channel())

    async def _claim_loop(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._draining and (free := self._capacity - len(self._running)) > 0:
                hit("flows.claim.before")
                async with self._db.system_write() as session:
                    claimed = await rows.claim(session, self.owner, min(free, 16))
                hit("flows.claim.after")
                await asyncio.gather(*(self._begin(run) for run in claimed))
                if len(claimed) < min(free, 16):
                    break

    async def _begin(self, run: rows.Claimed) -> None:
        try:
            execution = await self._prepare(run)
        except AutoWeaveError as error:
            # The lease runs out and the run is claimed again; after five times it is a crash loop.
            _log.warning("run_not_prepared", run=run.id, code=error.code, reason=error.message)
            return
        RUN_CLAIMS.labels("first" if run.epoch == 1 else "resumed").inc()
        self._running[run.id] = execution
        execution.start(self._ended)

    def _ended(self, execution: Execution) -> None:
        if self._running.get(execution.claimed.id) is execution:
            del self._running[execution.claimed.id]
        if execution.claimed.thread or len(self._running) == self._capacity - 1:
            # The lane's next run may be waiting for it, or any other for a free place.
            self._wake.set()
        if execution.suspended:
            self._swept.set()

    async def _renew_loop(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            # Only what is at work here: a run whose end could not be stored must go to another claim.
            held = list(self._running.values())
            try:
                hit("flows.renew.before")
                async with self._db.system_write() as session:
                    kept = await rows.renew(session, self.owner, [execution.claimed.id for execution in held])
                hit("flows.renew.after")
            except AutoWeaveError as error:
                _log.warning("lease_not_renewed", reason=error.message)
                self._stop_if_lost()
                continue
            self._renewed = time.monotonic()
            for execution in held:
                epoch, cancel = kept.get(execution.claimed.id, (-1, False))
                if epoch != execution.claimed.epoch:
                    execution.stop("lost")
                elif cancel:
                    execution.stop("cancel")

    def _stop_if_lost(self) -> None:
        if time.monotonic() - self._renewed > _LOST_AFTER_S:
            for execution in list(self._running.values()):
                execution.stop("lost")

    async def _sweep_loop(self) -> None:
        while True:
            wait_s = await self._sweep()
            self._swept.clear()
            # Not `wait_for`: before Python 3.12 it forgets that it was cancelled when it is woken in the same moment.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._swept.wait()

    async def _sweep(self) -> float:
        """Fire timers, end what is overdue, look for orphans; return the seconds until it is worth looking again."""
        try:
            async with self._db.system_read() as session:
                next_ms = await rows.next_timer_ms(session)
                put_back = await rows.is_put_back(session)
            if put_back:
                _log.warning("clock_was_put_back", does="timers and leases begin their terms again")
                async with self._db.system_write() as session:
                    await rows.begin_terms_again(session)
                    next_ms = await rows.next_timer_ms(session)
            if next_ms == 0:
                hit("flows.timer.before")
                async with self._db.system_write() as session:
                    await rows.fire_timers(session)
                hit("flows.timer.after")
            await end_overdue(self._db, self._bus)
        except AutoWeaveError as error:
            _log.warning("sweep_failed", reason=error.message)
            next_ms = None
        self._wake.set()
        longest = _SWEEP_S * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
        return longest if not next_ms else min(longest, next_ms / 1000)

    async def _listen_loop(self) -> None:
        async with self._live.listen(runs_channel(), cancel_channel()) as notices:
            async for notice in notices:
                if notice.channel == cancel_channel() and notice.payload:
                    execution = self._running.get(notice.payload.decode())
                    if execution is not None:
                        execution.stop("cancel")
                else:
                    self._wake.set()


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: what fails is logged and begun again, for nothing of it may stay undone."""
    while True:
        try:
            await loop()
        except AutoWeaveError as error:
            _log.warning("worker_loop_failed", loop=loop.__name__, code=error.code, reason=error.message)
        except Exception:  # noqa: BLE001 - the edge of a process loop
            _log.exception("worker_loop_failed", loop=loop.__name__)
        await asyncio.sleep(0.5)
