"""`RunWriter`: tokens come one by one and go out a few at a time."""

import asyncio
from typing import Any

import msgspec

from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.outage import Outage
from backend.foundation.live.ports import KEEP_S, LiveStore
from backend.foundation.live.rules import ended_channel, run_stream
from backend.foundation.live.views import Kind, LiveEntry
from backend.foundation.telemetry.logs import get_logger
from backend.foundation.telemetry.metrics import LIVE_DROPPED

log = get_logger("live")

_DELAY_S = 0.015
_RETRY_S = 0.5
_FLUSH_CHARACTERS = 1024
_MOST_WAITING = 2_000
_KEEP_ENDED_S = 120
"""Whoever comes after the end reads the rows; 5 KiB for each run of an hour would fill a busy server's memory."""

_outage = Outage(log, fails="entries wait for the store", works="entries go to the store again")
"""One for all streams of a process, of which there may be hundreds: they have the same store."""


class RunWriter:
    """Writes a run's stream under one claim. Nothing here raises: the rows are the truth, the stream is a comfort.

    Args:
        store: where the stream is.
        run: the run's id.
        epoch: the claim; entries of an older one become void by the first of this one.
    """

    def __init__(self, store: LiveStore, run: str, epoch: int) -> None:
        self._store = store
        self._run = run.encode()
        self._stream = run_stream(run)
        self._epoch = epoch
        self._seq = 0
        self._path = ""
        self._texts: list[str] = []
        self._characters = 0
        self._waiting: list[bytes] = []
        self._rested = 0.0
        self._keep_s = KEEP_S
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self.lost = 0
        """How many entries the store did not take."""

    def token(self, path: str, text: str) -> None:
        """Add a piece of the answer: the first is on its way at once, later ones go together every 15 ms."""
        if path != self._path:
            self._close_text()
            self._path = path
        self._texts.append(text)
        self._characters += len(text)
        if self._characters >= _FLUSH_CHARACTERS:
            self._close_text()
            self._flush_after(0)
        else:
            self._flush_after(max(0.0, self._rested - asyncio.get_running_loop().time()))

    def tool(self, path: str, data: dict[str, Any]) -> None:
        """Show a tool call: ``name``, ``status`` and, as far as known, ``arguments``, ``result``, ``duration_ms``."""
        self._add("tool", path, data)

    def reset(self, path: str) -> None:
        """Take back what was shown of a path."""
        self._add("reset", path, {})

    def status(self, data: dict[str, Any]) -> None:
        """Show the run's ``status``."""
        self._add("status", "", data)

    async def done(self, data: dict[str, Any]) -> None:
        """Announce the end (``status``, ``output``): call it after the commit that made it true."""
        self._keep_s = _KEEP_ENDED_S
        self._add("done", "", data)
        self._store.notify_soon(ended_channel(), self._run)
        await self.flush()

    async def error(self, data: dict[str, Any]) -> None:
        """Announce a failed end (``code``, ``message``, ``hint``), after its commit."""
        self._keep_s = _KEEP_ENDED_S
        self._add("error", "", data)
        self._store.notify_soon(ended_channel(), self._run)
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; return when the store has it, or could not take it."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._start()
        if self._flushing is not None:
            await asyncio.wait([self._flushing])

    def _add(self, kind: Kind, path: str, data: dict[str, Any]) -> None:
        self._close_text()
        self._append(kind, path, data)
        self._flush_after(0)

    def _append(self, kind: Kind, path: str, data: dict[str, Any]) -> None:
        self._seq += 1
        if len(self._waiting) >= _MOST_WAITING:
            # Readers see the hole in the numbers and load the rows.
            self.lost += len(self._waiting)
            LIVE_DROPPED.labels("store_down").inc(len(self._waiting))
            self._waiting.clear()
        self._waiting.append(msgspec.json.encode(LiveEntry(self._epoch, path, self._seq, kind, data)))

    def _close_text(self) -> None:
        if self._texts:
            self._append("token", self._path, {"text": "".join(self._texts)})
            self._texts.clear()
            self._characters = 0
            self._rested = asyncio.get_running_loop().time() + _DELAY_S

    def _flush_after(self, delay_s: float) -> None:
        if self._flushing is not None or (self._timer is not None and delay_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_text()
        if self._waiting and self._flushing is None:
            self._flushing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        delay_s = 0.0
        entries, self._waiting = self._waiting, []
        try:
            await self._store.append(self._stream, entries, keep_s=self._keep_s)
        except Unavailable as error:
            self._waiting = (entries + self._waiting)[-_MOST_WAITING:]
            delay_s = _RETRY_S
            _outage.failed(error.message)
        else:
            _outage.ended()
        finally:
            self._flushing = None
        if self._waiting or self._texts:
            self._flush_after(delay_s or _DELAY_S)
