"""The heartbeat of a process: what it is, that it lives, and its figures."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ids import new_id
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.repository import delete_dead_processes, delete_process, upsert_process
from backend.foundation.telemetry.service.limits import Limits

_log = get_logger("telemetry")
_STATM = Path("/proc/self/statm")
_FORGET_EVERY = 12
_FIGURES_MAX = 64


class Heart:
    """Writes the process's row every few seconds, until it is closed; a beat that fails is skipped."""

    def __init__(self, db: Database, service: str, roles: Sequence[str], limits: Limits) -> None:
        self.id = new_id("prc")
        self._db = db
        self._service = service
        self._roles = list(roles)
        self._limits = limits
        self._figures: dict[str, Callable[[], float]] = {"rss_mb": resident_mb}
        self._lag_ms = 0.0
        self._beats = 0
        self._silent = False

    def add(self, name: str, read: Callable[[], float]) -> None:
        """Add a figure to the heartbeat, at most 64; ``read`` must be quick."""
        if len(self._figures) < _FIGURES_MAX:
            self._figures[name] = read

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            try:
                await self.beat()
            except Exception:  # noqa: BLE001 - a process without a heartbeat looks dead although it works
                _log.exception("heartbeat failed")
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the next beat; what the loop wakes late by is its lag."""
        started = time.perf_counter()
        await asyncio.sleep(self._limits.beat_s)
        self._lag_ms = max(0.0, (time.perf_counter() - started - self._limits.beat_s) * 1_000)

    async def beat(self) -> None:
        """Write the row once."""
        try:
            async with asyncio.timeout(self._limits.give_up_s), self._db.system_write() as session:
                await upsert_process(session, self._row())
                if self._beats % _FORGET_EVERY == 0:
                    await delete_dead_processes(session, unseen_ms=self._limits.forget_ms)
        except (AutoWeaveError, SQLAlchemyError, OSError, TimeoutError) as error:
            if not self._silent:
                _log.warning("no heartbeat: the database takes none", error=str(error) or "it took too long")
            self._silent = True
            return
        self._beats += 1
        self._silent = False

    def _row(self) -> dict[str, object]:
        return {
            "id": self.id,
            "service": self._service,
            "roles": self._roles,
            "host": socket.gethostname()[:120],
            "pid": os.getpid(),
            "figures": {"loop_lag_ms": round(self._lag_ms, 1)} | {name: read() for name, read in self._figures.items()},
            "samples": metrics.samples(),
        }

    async def stop(self) -> None:
        """Take the row away: a process that ended is not a dead one."""
        try:
            async with asyncio.timeout(self._limits.drain_s), self._db.system_write() as session:
                await delete_process(session, self.id)
        except (AutoWeaveError, SQLAlchemyError, OSError, TimeoutError) as error:
            _log.info("heartbeat row left behind", error=str(error) or "it took too long")


def resident_mb() -> float:
    """Return the memory of this process in MiB, 0 where the system does not tell."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
