"""Spans that go to a second place: a queue of their own, so that a slow receiver holds nobody up."""

import asyncio
from collections.abc import Sequence

from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry import metrics
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.ports import SpanExporter, SpanRecord

_log = get_logger("telemetry")
_BATCHES_MAX = 32


class Export:
    """One exporter and the batches that wait for it; the newest is dropped and counted beyond 32."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._queue: asyncio.Queue[Sequence[SpanRecord]] = asyncio.Queue(_BATCHES_MAX)
        self._down = False

    def offer(self, batch: Sequence[SpanRecord]) -> None:
        """Take a batch without waiting."""
        try:
            self._queue.put_nowait(batch)
        except asyncio.QueueFull:
            self._lose(batch)

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        while True:
            batch = await self._queue.get()
            try:
                await self._send(batch)
            except Exception:  # noqa: BLE001 - the loop outlives a batch that the receiver does not take
                _log.exception("spans not exported")
                self._lose(batch)

    async def _send(self, batch: Sequence[SpanRecord]) -> None:
        try:
            await self._exporter.export(batch)
        except Unavailable as error:
            self._lose(batch)
            if not self._down:
                _log.warning("spans not exported", error=str(error))
            self._down = True
            return
        self._down = False

    def _lose(self, batch: Sequence[SpanRecord]) -> None:
        metrics.SPANS_DROPPED.labels("otlp").inc(len(batch))

    async def close(self) -> None:
        """Send what waits, then let go of the receiver; call it after `run` was cancelled, with a timeout."""
        try:
            while not self._queue.empty() and not self._down:
                await self._send(self._queue.get_nowait())
        finally:
            while not self._queue.empty():
                self._lose(self._queue.get_nowait())
            await self._exporter.close()
