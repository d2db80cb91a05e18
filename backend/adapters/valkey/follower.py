"""One blocking read for all streams that a process follows, fanned out in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Generic, NamedTuple, TypeVar, cast

import structlog
from redis.exceptions import RedisError

from backend.adapters.valkey.server import Link, Reply, Script, Server, connect, pack
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Invalid
from backend.foundation.kernel.ids import new_id

log = structlog.get_logger(__name__)

Position = tuple[int, int]
Thing = TypeVar("Thing")

_BLOCK_MS = 5_000
_GRACE_S = 5.0
_COUNT = 500
_LINGER_S = 0.003

WAKE = Script("""
redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'w', '1')
redis.call('PEXPIRE', KEYS[1], 3600000)
""")

# The end of a stream, and what is stored after a cursor up to it.
_STORED = Script("""
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] then return {'0-0', {}} end
if ARGV[1] == '$' then return {last[1][1], {}} end
return {last[1][1], redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], last[1][1])}
""")
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0


class Entry(NamedTuple):
    """An entry of a stream: its id, and its fields with their values in turn."""

    id: str
    fields: list[bytes]


class Mailbox(Generic[Thing]):
    """What waits for one reader; beyond ``limit`` the oldest is dropped."""

    def __init__(self, limit: int) -> None:
        self._things: deque[Thing] = deque(maxlen=limit)
        self._filled = asyncio.Event()

    def put(self, thing: Thing) -> None:
        """Add one and wake the reader."""
        self._things.append(thing)
        self._filled.set()

    def __aiter__(self) -> AsyncIterator[Thing]:
        return self

    async def __anext__(self) -> Thing:
        while not self._things:
            self._filled.clear()
            await self._filled.wait()
        return self._things.popleft()


class Tail:
    """A reader of one stream. Takes each entry once, whatever is read again; keeps what comes while it catches up."""

    def __init__(self, key: str, put: Callable[[Entry], None], limit: int) -> None:
        self.key = key
        self._put = put
        self._seen: Position = (0, 0)
        self._early: deque[tuple[Position, Entry]] | None = deque(maxlen=limit)

    def take(self, at: Position, entry: Entry) -> None:
        """Add an entry unless it was there before."""
        if self._early is not None:
            self._early.append((at, entry))
        elif at > self._seen:
            self._seen = at
            self._put(entry)

    def caught_up(self, after: Position, backlog: list[Entry]) -> None:
        """Add what was stored after a position, then what came meanwhile."""
        early, self._early = self._early or (), None
        self._seen = after
        for entry in backlog:
            self.take(position(entry.id), entry)
        for at, entry in early:
            self.take(at, entry)


class _Stream:
    """A stream that is followed, read up to ``cursor``; ``None`` while its first reader catches up."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.tails: set[Tail] = set()


class Follower:
    """Reads every followed stream over one connection, made anew when it is lost.

    Args:
        server: where the streams are.
        limit: how many entries may come for a reader while it catches up.
    """

    def __init__(self, server: Server, *, limit: int = 2_000) -> None:
        self._server = server
        self._limit = limit
        self._streams: dict[str, _Stream] = {}
        self._wake_key = server.key("wake", new_id("fol"))
        self._wake_cursor = "0-0"
        self._task: asyncio.Task[None] | None = None

    async def attach(self, key: str, after: str, put: Callable[[Entry], None]) -> Tail:
        """Give ``put`` what is stored after a cursor (``$``: nothing), then what comes.

        Raises:
            Invalid: the cursor cannot be read.
            Unavailable: the server is down.
        """
        stream = self._streams.setdefault(key, _Stream())
        unread = stream.cursor is None
        tail = Tail(key, put, self._limit)
        stream.tails.add(tail)
        with ExitStack() as undo:
            undo.callback(self.detach, tail)
            last, backlog = await self._stored(key, after)
            if unread and (stream.cursor is None or position(last) < position(stream.cursor)):
                # Two who attach at once may have seen two ends: go on from the earlier, nobody takes an entry twice.
                stream.cursor = last
                await self._wake()
            undo.pop_all()
        tail.caught_up(position(last) if after == "$" else min(position(after), position(last)), backlog)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return tail

    def detach(self, tail: Tail) -> None:
        """Stop following; a stream that nobody follows is read no more."""
        stream = self._streams.get(tail.key)
        if stream is not None:
            stream.tails.discard(tail)
            if not stream.tails:
                del self._streams[tail.key]

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _stored(self, key: str, after: str) -> tuple[str, list[Entry]]:
        start = after if after == "$" else "{}-{}".format(*position(after))
        reply = cast("list[Reply]", await self._server.run(_STORED, [key], [start]))
        return cast("bytes", reply[0]).decode(), entries_of(reply[1])

    async def _wake(self) -> None:
        if self._task is not None:
            await self._server.run(WAKE, [self._wake_key], [])

    async def _run(self) -> None:
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        while True:
            link = self._server.link()
            try:
                await connect(link)
                while True:
                    await self._read(link)
                    backoff.reset()
            except (RedisError, OSError, TimeoutError) as error:
                if backoff.fresh:
                    log.warning("live.reader_lost", error=str(error))
            except Exception:
                # An odd entry or a fault in a reader must not end the reading of all others.
                log.exception("live.reader_failed")
            finally:
                await link.disconnect(nowait=True)
            await backoff.wait()

    async def _read(self, link: Link) -> None:
        followed = {key: stream.cursor for key, stream in self._streams.items() if stream.cursor is not None}
        followed[self._wake_key] = self._wake_cursor
        await link.send_packed_command(
            pack("XREAD", "COUNT", _COUNT, "BLOCK", _BLOCK_MS, "STREAMS", *followed, *followed.values())
        )
        async with asyncio.timeout(_BLOCK_MS / 1000 + _GRACE_S):
            reply = await link.read_response(disable_decoding=True)
        for name, raw in cast("list[tuple[bytes, Reply]]", reply or []):
            self._spread(name.decode(), entries_of(raw))
        # What others append within a moment is read together.
        await asyncio.sleep(_LINGER_S)

    def _spread(self, key: str, entries: list[Entry]) -> None:
        if key == self._wake_key:
            self._wake_cursor = entries[-1].id
            return
        stream = self._streams.get(key)
        if stream is None or stream.cursor is None:
            return
        stream.cursor = entries[-1].id
        for entry in entries:
            at = position(entry.id)
            for tail in stream.tails:
                tail.take(at, entry)


def position(cursor: str) -> Position:
    """Return an id as numbers that sort; raise `Invalid` when it is none."""
    milliseconds, _, sequence = cursor.partition("-")
    try:
        return int(milliseconds), int(sequence or 0)
    except ValueError as error:
        raise Invalid(f"{cursor!r} is no cursor.", hint="Use the cursor of an entry as it came, or 0.") from error


def entries_of(raw: Reply) -> list[Entry]:
    """Return the entries of a reply; those that were deleted in the middle have no fields and are left out."""
    return [
        Entry(cast("bytes", id_).decode(), cast("list[bytes]", fields))
        for id_, fields in cast("list[list[Reply]]", raw)
        if fields
    ]
