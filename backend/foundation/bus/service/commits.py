"""Positions on their way to the broker: one commit at a time, and only the newest position of each partition."""

import asyncio

from backend.foundation.bus.ports import Partition, Reader
from backend.foundation.bus.rules import wait_s
from backend.foundation.kernel.errors import Fenced, Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.outage import Outage
from backend.foundation.telemetry.logs import get_logger

log = get_logger("bus")

_INTERVAL_S = 0.05


class Commits:
    """Collects positions and commits them a few times a second; a position that is lost is only read again."""

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._positions: dict[Partition, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._outage = Outage(log, fails="positions not committed", works="positions are committed again")

    def bind(self, reader: Reader) -> None:
        """Name the reader; positions that came before are committed now."""
        self._reader = reader
        self._schedule()

    def put(self, partition: Partition, offset: str) -> None:
        """Commit a position soon."""
        self._positions[partition] = offset
        self._schedule()

    def forget(self, partition: Partition) -> None:
        """Another owns the partition: its position is his."""
        self._positions.pop(partition, None)
        if not self._positions:
            self._outage.ended()

    async def flush(self) -> None:
        """Commit what waits now; raise `Unavailable` when the broker is down."""
        if self._reader is None or not self._positions:
            return
        positions, self._positions = self._positions, {}
        try:
            hit("bus.position.before")
            await self._reader.commit(positions)
            hit("bus.position.after")
            self._outage.ended()
        except Fenced:
            await self._commit_alone(self._reader, positions)
        except Unavailable:
            self._positions = positions | self._positions
            raise

    async def close(self) -> None:
        """Stop; what waits is read again by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _schedule(self) -> None:
        if self._task is None and self._reader is not None and self._positions:
            self._task = asyncio.create_task(self._run(), name="bus-commit")

    async def _run(self) -> None:
        try:
            while self._positions:
                await asyncio.sleep(_INTERVAL_S + (wait_s(self._outage.failures) if self._outage.failures else 0))
                try:
                    await self.flush()
                except Unavailable as error:
                    self._outage.failed(error.message)
        finally:
            self._task = None

    async def _commit_alone(self, reader: Reader, positions: dict[Partition, str]) -> None:
        refused: list[str] = []
        for partition, offset in positions.items():
            try:
                await reader.commit({partition: offset})
            except Fenced:
                refused.append(f"{partition.topic}[{partition.number}]")
        if refused:
            log.info("positions refused: others own the partitions now", partitions=refused)
        self._outage.ended()
