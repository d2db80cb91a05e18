"""Who waits for the end of a run, and the one listener of a process that wakes them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager

import structlog

from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import Notice
from backend.foundation.live.rules import ended_channel
from backend.foundation.live.service import Live

_AGAIN_S = 0.5
_log = structlog.get_logger("flows.endings")


class Endings:
    """Wakes waiters by notices, which may be lost: whoever is woken, or has waited long enough, looks at the row.

    A stream of its own for each waiting request would cost a script, a wake-up and a read of the follower each.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._watched: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self, run: str) -> Generator[asyncio.Event]:
        """Give an event that is set when the run may have ended: look at the row after this, and when it is set."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen_for_ever(), name="flows-endings")
        ended = asyncio.Event()
        self._watched[run].add(ended)
        try:
            yield ended
        finally:
            self._watched[run].discard(ended)
            if not self._watched[run]:
                del self._watched[run]

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with self._live.listen(ended_channel()) as notices:
                    # What ended before this listened is seen by a look at the rows.
                    self._wake_all()
                    async for notice in notices:
                        self._hear(notice)
            except Unavailable as error:
                _log.warning("endings_not_heard", reason=error.message)
            await asyncio.sleep(_AGAIN_S)

    def _hear(self, notice: Notice) -> None:
        if not notice.payload:
            self._wake_all()
            return
        for ended in self._watched.get(notice.payload.decode(errors="replace"), ()):
            ended.set()

    def _wake_all(self) -> None:
        for events in self._watched.values():
            for ended in events:
                ended.set()
