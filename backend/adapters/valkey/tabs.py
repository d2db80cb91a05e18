"""`ValkeyTabs`: what open pages know, for all web processes. It keeps bytes; what they mean is the pages' affair."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

from backend.adapters.valkey.listener import Listener
from backend.adapters.valkey.server import Argument, Reply, Script, Server
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import Notice

_CONNECTIONS = 16
_RETRY_S = 0.25
_FIRST_POLL_S = 0.01
_LONGEST_POLL_S = 0.1
_LOOK_AT_HOLDER_S = 0.3
_SILENT_S = 1.5
"""A process that hears nothing for so long is gone: a listener that lost its connection is back within a second."""

# KEYS: lock, tab. ARGV: holder, seconds kept, then name and value of each field. Returns 1 if the holder has the lock.
_SAVE = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
""")
# KEYS: a lock or a socket's owner. ARGV: what it must hold to be deleted.
_DROP = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")


class LockLost(Exception):
    """Another process has the tab by now; nothing was written."""


class ValkeyTabs:
    """Fields by tab, one holder at a time, and which process has a tab's socket.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://path``.
        namespace: the first part of each key and channel.
        keep_s: how long a tab is kept after it was written last.
        lock_ms: how long a holder may work on a tab.
        patience_s: how long a call waits for a server that is away.
    """

    def __init__(
        self, url: str, *, namespace: str, keep_s: int = 3_600, lock_ms: int = 10_000, patience_s: float = 10.0
    ) -> None:
        self._server = Server(url, namespace=f"{namespace}:tabs", connections=_CONNECTIONS)
        self._listener = Listener(self._server)
        self._keep_s, self._lock_ms, self._patience_s = keep_s, lock_ms, patience_s

    async def read(self, tab: str, fields: Sequence[str]) -> list[bytes | None]:
        """Return the fields in this order, nothing for those that are not there."""
        return cast("list[bytes | None]", await self._call("HMGET", self._tab(tab), *fields))

    async def save(self, tab: str, holder: str, fields: Mapping[str, bytes]) -> None:
        """Write the fields and keep the whole tab for another while; raise `LockLost` when ``holder`` is it no more."""
        values: list[Argument] = [part for item in fields.items() for part in item]
        keys = [self._lock(tab), self._tab(tab)]
        if await self._patiently(lambda: self._server.run(_SAVE, keys, [holder, self._keep_s, *values])) != 1:
            raise LockLost(f"{holder} does not hold tab {tab} any more")

    @asynccontextmanager
    async def hold(self, tab: str, instance: str) -> AsyncGenerator[str]:
        """Hold a tab alone for at most ``lock_ms``; yields the name of this hold. A dead process's is taken over."""
        holder = f"{instance}:{secrets.token_hex(8)}"
        await self._take(tab, holder)
        try:
            yield holder
        finally:
            with suppress(Unavailable):  # it ends by itself
                await self._server.run(_DROP, [self._lock(tab)], [holder])

    async def owner(self, socket: str) -> str:
        """Return the process that has the socket of this name, empty for none."""
        return _text(await self._call("GET", self._socket(socket)))

    async def own(self, socket: str, instance: str) -> None:
        """Say that this process has the socket, for a day."""
        await self._call("SET", self._socket(socket), instance, "EX", 86_400)

    async def disown(self, socket: str, instance: str) -> None:
        """Say that this process has the socket no more."""
        await self._server.run(_DROP, [self._socket(socket)], [instance])

    async def alive(self, instance: str) -> bool:
        """Whether a process hears its name: the server knows at once when the connection of a dead one has closed."""
        reply = cast("list[int]", await self._call("PUBSUB", "NUMSUB", self._server.key("ch", instance)))
        return reply[1] > 0

    async def tell(self, instance: str, message: bytes) -> None:
        """Send a message to a process."""
        await self._call("PUBLISH", self._server.key("ch", instance), message)

    @asynccontextmanager
    async def hear(self, instance: str) -> AsyncGenerator[AsyncIterator[Notice]]:
        """Hear what is sent to this process, and count as alive, until the context is left."""
        ear = await self._listener.join([instance])
        try:
            yield ear
        finally:
            await self._listener.leave(ear)

    async def close(self) -> None:
        """Give the connections back."""
        await self._listener.close()
        await self._server.close()

    async def _take(self, tab: str, holder: str) -> None:
        lock, poll, silent_since = self._lock(tab), _FIRST_POLL_S, 0.0
        looked = time.monotonic()
        while await self._call("SET", lock, holder, "NX", "PX", self._lock_ms) is None:
            await asyncio.sleep(poll * random.uniform(0.5, 1))  # noqa: S311 - jitter
            poll = min(poll * 2, _LONGEST_POLL_S)
            now = time.monotonic()
            if now - looked < _LOOK_AT_HOLDER_S:
                continue
            looked = now
            before = _text(await self._call("GET", lock))
            if not before or await self.alive(before.partition(":")[0]):
                silent_since = 0.0
            elif not silent_since:
                silent_since = now
            elif now - silent_since > _SILENT_S:
                await self._server.run(_DROP, [lock], [before])

    async def _call(self, *command: Argument) -> Reply:
        return await self._patiently(lambda: self._server.call(*command))

    async def _patiently(self, call: Callable[[], Awaitable[Reply]]) -> Reply:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return await call()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_S)

    def _tab(self, tab: str) -> str:
        return self._server.key("tab", tab)

    def _lock(self, tab: str) -> str:
        return self._server.key("lock", tab)

    def _socket(self, socket: str) -> str:
        return self._server.key("socket", socket)


def _text(value: Reply) -> str:
    return value.decode() if isinstance(value, bytes) else ""
