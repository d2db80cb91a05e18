"""`ValkeyLive`: capped streams and notices on Valkey."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import structlog
from redis.exceptions import ResponseError

from backend.adapters.valkey.coalescer import Coalescer
from backend.adapters.valkey.follower import Follower, Mailbox
from backend.adapters.valkey.listener import Listener
from backend.adapters.valkey.server import Argument, Line, Script, Server, unavailable
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import KEEP_S, Notice, StreamEntry
from backend.foundation.telemetry.metrics import LIVE_DROPPED

log = structlog.get_logger(__name__)

_KEEP_ENTRIES = 2_000
_WAITING_NOTICES = 10_000

_Entry = tuple[str, bytes, int]
"""A stream's key, a value, and the seconds for which the stream stays after it."""

# KEYS: a stream for each value; ARGV: entries kept, then each value and the seconds for which its stream stays after
# it. Returns the ids.
_APPEND = Script("""
local ids = {}
for i, key in ipairs(KEYS) do
  ids[i] = redis.call('XADD', key, 'MAXLEN', '~', ARGV[1], '*', 'v', ARGV[2 * i])
  if key ~= KEYS[i + 1] then redis.call('EXPIRE', key, ARGV[2 * i + 1]) end
end
return ids
""")


class ValkeyLive:
    """The `LiveStore` on Valkey or Redis.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://path``.
        namespace: the first part of each key and channel.
    """

    def __init__(self, url: str, *, namespace: str = "aw") -> None:
        self._server = Server(url, namespace=f"{namespace}:live")
        self._line = Line(self._server)
        self._follower = Follower(self._server, limit=_KEEP_ENTRIES)
        self._listener = Listener(self._server)
        self._appends: Coalescer[_Entry, str] = Coalescer(self._send_entries)
        self._notices: Coalescer[Notice, None] = Coalescer(self._send_notices)
        self._soon: dict[Notice, None] = {}
        self._soon_task: asyncio.Task[None] | None = None
        self.lost_notices = 0

    async def append(self, stream: str, values: Sequence[bytes], *, keep_s: int = KEEP_S) -> list[str]:
        key = self._server.key("s", stream)
        return await self._appends.put([(key, value, keep_s) for value in values])

    @asynccontextmanager
    async def follow(self, stream: str, after: str = "0") -> AsyncGenerator[AsyncIterator[StreamEntry]]:
        entries: Mailbox[StreamEntry] = Mailbox(_KEEP_ENTRIES)
        key = self._server.key("s", stream)
        tail = await self._follower.attach(key, after, lambda e: entries.put(StreamEntry(e.id, e.fields[1])))
        try:
            yield entries
        finally:
            self._follower.detach(tail)

    async def delete(self, stream: str) -> None:
        await self._server.call("UNLINK", self._server.key("s", stream))

    async def notify(self, channel: str, payload: bytes = b"") -> None:
        await self._notices.put([Notice(channel, payload)])

    def notify_soon(self, channel: str, payload: bytes = b"") -> None:
        if len(self._soon) >= _WAITING_NOTICES:
            self._lost(1, "notices_full")
            return
        self._soon[Notice(channel, payload)] = None
        if self._soon_task is None:
            self._soon_task = asyncio.create_task(self._notify_waiting())

    @asynccontextmanager
    async def listen(self, *channels: str) -> AsyncGenerator[AsyncIterator[Notice]]:
        ear = await self._listener.join(channels)
        try:
            yield ear
        finally:
            await self._listener.leave(ear)

    async def ping(self) -> float:
        return await self._server.ping()

    async def close(self) -> None:
        await self._follower.close()
        await self._listener.close()
        if self._soon_task is not None:
            await asyncio.wait([self._soon_task])
        await self._appends.close()
        await self._notices.close()
        await self._line.close()
        await self._server.close()

    def _lost(self, notices: int, reason: str) -> None:
        self.lost_notices += notices
        LIVE_DROPPED.labels(reason).inc(notices)

    async def _notify_waiting(self) -> None:
        try:
            while self._soon:
                notices = list(self._soon)
                self._soon.clear()
                try:
                    await self._notices.put(notices)
                except Unavailable:
                    self._lost(len(notices), "notices_refused")
                    log.warning("live.notices_lost", count=len(notices))
        finally:
            self._soon_task = None

    async def _send_entries(self, entries: list[_Entry]) -> list[str]:
        arguments: list[Argument] = [_KEEP_ENTRIES]
        for _, value, keep_s in entries:
            arguments += (value, keep_s)
        reply = cast("list[bytes]", await self._line.run(_APPEND, [key for key, _, _ in entries], arguments))
        return [id_.decode() for id_ in reply]

    async def _send_notices(self, notices: list[Notice]) -> list[None]:
        commands = [("PUBLISH", self._server.key("ch", notice.channel), notice.payload) for notice in notices]
        for reply in await self._line.pipeline(commands):
            if isinstance(reply, ResponseError):
                raise unavailable(reply)
        return [None] * len(notices)
