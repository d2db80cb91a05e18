"""`Live`: notices, and the streams on which runs show what they do."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from backend.foundation.kernel.ids import RunId
from backend.foundation.live.ports import LiveStore, Notice, StreamEntry
from backend.foundation.live.rules import RunCursor, parse_cursor, run_stream
from backend.foundation.live.service.writer import RunWriter
from backend.foundation.live.views import LiveEntry
from backend.foundation.telemetry.logs import get_logger

log = get_logger("live")

_WRITERS = 10_000
_decoder = msgspec.json.Decoder(LiveEntry)


class Live:
    """Everything here may be lost at any time: whoever listens must also be right without it.

    Args:
        store: where streams and channels are.
    """

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._writers: OrderedDict[tuple[str, int], RunWriter] = OrderedDict()

    async def notify(self, channel: str, payload: bytes = b"") -> None:
        """Tell every listener of a channel, in all processes; raise `Unavailable` when the store is down."""
        await self._store.notify(channel, payload)

    def notify_soon(self, channel: str, payload: bytes = b"") -> None:
        """The same without waiting or failing; fit for `after_commit`."""
        self._store.notify_soon(channel, payload)

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Hear channels; after a lost connection an empty notice comes for each, so that the listener looks again."""
        return self._store.listen(*channels)

    def writer(self, run: RunId | str, epoch: int) -> RunWriter:
        """Return the writer of a run's stream under a claim. One process holds the claim, so it alone writes; asking
        again returns the same writer, since the numbers of its entries must go on."""
        key = (str(run), epoch)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = RunWriter(self._store, str(run), epoch)
            while len(self._writers) > _WRITERS:
                self._writers.popitem(last=False)
        self._writers.move_to_end(key)
        return writer

    @asynccontextmanager
    async def run_entries(
        self, run: RunId | str, after: str = "0"
    ) -> AsyncGenerator[AsyncIterator[tuple[str, LiveEntry]]]:
        """Read a run's stream from after a cursor, then what comes, until the context is left.

        Each entry comes once, with the cursor to go on from; entries of older epochs are left out. Where entries were
        lost (the stream is capped, and so is a slow reader's buffer) a ``reset`` of the empty path comes first.

        Raises:
            Invalid: the cursor cannot be read.
            Unavailable: the store is down.
        """
        cursor = parse_cursor(after)
        async with self._store.follow(run_stream(run), cursor.store) as entries:
            yield _in_order(entries, cursor)

    async def forget_run(self, run: RunId | str) -> None:
        """Delete a run's stream."""
        await self._store.delete(run_stream(run))

    async def ping(self) -> float:
        """Return the milliseconds of a round trip; raise `Unavailable` when there is none within 2 s."""
        return await self._store.ping()

    async def close(self) -> None:
        """Write what waits and give the connections back."""
        for writer in self._writers.values():
            await writer.flush()
        await self._store.close()


async def _in_order(entries: AsyncIterator[StreamEntry], at: RunCursor) -> AsyncIterator[tuple[str, LiveEntry]]:
    async for stored in entries:
        try:
            entry = _decoder.decode(stored.value)
        except msgspec.MsgspecError:
            log.warning("entry cannot be read", cursor=stored.cursor)
            continue
        if (entry.epoch, entry.seq) <= (at.epoch, at.seq):
            continue
        if entry.seq != (at.seq if entry.epoch == at.epoch else 0) + 1:
            yield str(at), LiveEntry(entry.epoch, "", entry.seq, "reset", {"reason": "gap"})
        at = RunCursor(stored.cursor, entry.epoch, entry.seq)
        yield str(at), entry
