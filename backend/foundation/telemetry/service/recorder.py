"""From finished spans to rows: a bounded queue, batches, and a count of whatever is lost."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError

from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ports import Database
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.ports import SpanRecord
from backend.foundation.telemetry.repository import delete_oldest, insert_spans
from backend.foundation.telemetry.service.limits import Limits
from backend.foundation.telemetry.service.records import record_of
from backend.foundation.telemetry.tracing import RecordedSpan

_log = get_logger("telemetry")
_SLOWEST_S = 30.0


class Recorder:
    """Takes finished spans from any thread, and stores them from one task of the loop.

    Args:
        tell: is told each batch that was stored, to export it elsewhere too.
    """

    def __init__(
        self,
        db: Database,
        service: str,
        limits: Limits,
        tell: Callable[[Sequence[SpanRecord]], None],
    ) -> None:
        self._db = db
        self._service = service
        self._limits = limits
        self._tell = tell
        self._queue: deque[RecordedSpan] = deque()
        self._flushing = asyncio.Lock()
        self._failed = 0
        self.stored = 0
        self.dropped = 0
        self.cause = ""

    @property
    def waiting(self) -> int:
        """Finished spans that are not stored yet."""
        return len(self._queue)

    def offer(self, span: RecordedSpan) -> None:
        """Take a finished span, or drop and count it: never waits, never fails."""
        if len(self._queue) >= self._limits.waiting:
            self._drop(1, "full")
        else:
            self._queue.append(span)

    async def run(self) -> None:
        """Store what waits, twice a second, until cancelled; slower while the database is down."""
        while True:
            await asyncio.sleep(min(self._limits.every_s * 2**self._failed, _SLOWEST_S))
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - the loop outlives a batch that cannot be stored
                _log.exception("spans not stored")

    async def flush(self) -> None:
        """Store everything that waits now; stops at the first batch that cannot be."""
        async with self._flushing:
            for _ in range(len(self._queue) // self._limits.batch + 1):
                if not self._queue or not await self._store_batch():
                    return

    async def _store_batch(self) -> bool:
        batch = list(islice(self._queue, self._limits.batch))
        try:
            records = [record_of(span, self._service) for span in batch]
            async with asyncio.timeout(self._limits.give_up_s), self._db.system_write() as session:
                await insert_spans(session, records)
        except (AutoWeaveError, SQLAlchemyError, OSError, TimeoutError) as error:
            self._not_stored(len(batch), error)
            return False
        self._remove(len(batch))
        self._is_stored(len(batch))
        self._tell(records)
        return True

    def _is_stored(self, count: int) -> None:
        if self._failed:
            _log.info("spans are stored again", dropped=self.dropped)
        self._failed = 0
        self.cause = ""
        self.stored += count
        metrics.SPANS_STORED.inc(count)

    def _not_stored(self, count: int, error: Exception) -> None:
        self.cause = str(error) or "The database took too long."
        if not self._failed:
            _log.warning("spans wait: the database takes none", error=self.cause, waiting=self.waiting)
        self._failed += 1
        if self._failed >= self._limits.attempts:
            # A batch that can never be stored must not stand in the way of all later ones.
            self._remove(count)
            self._drop(count, "database")

    def _remove(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft()

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        metrics.SPANS_DROPPED.labels(why).inc(count)

    async def close(self) -> None:
        """Store what waits, for a few seconds; count the rest as dropped."""
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await self.flush()
        except TimeoutError:
            pass
        left = self.waiting
        if left:
            self._remove(left)
            self._drop(left, "closed")
            _log.warning("spans dropped at the end", dropped=left, cause=self.cause)

    async def sweep(self) -> int:
        """Delete what is too old or too much, in small steps that let others write between; return how many."""
        total = 0
        while True:
            async with self._db.system_write() as session:
                gone = await delete_oldest(
                    session,
                    keep=self._limits.keep,
                    keep_ms=self._limits.keep_ms,
                    at_most=self._limits.sweep_batch,
                )
            total += gone
            if gone < self._limits.sweep_batch:
                return total
            await asyncio.sleep(0)
