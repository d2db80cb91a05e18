"""One subscription connection for all channels that a process listens to."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import cast

import structlog
from redis.exceptions import RedisError

from backend.adapters.valkey.follower import Mailbox
from backend.adapters.valkey.server import Link, Reply, Server, connect, pack
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import Notice

log = structlog.get_logger(__name__)

_IDLE_S = 10.0
_JOIN_S = 5.0
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0


class Ear(Mailbox[Notice]):
    """A listener of some channels; ``keys`` maps the server's names of them to the caller's."""

    def __init__(self, keys: dict[str, str], limit: int) -> None:
        super().__init__(limit)
        self.keys = keys


class Listener:
    """Hears channels over one connection, made anew when it is lost; then every listener gets an empty notice.

    Args:
        server: where the channels are.
        limit: how many notices may wait for a listener before it loses the oldest.
    """

    def __init__(self, server: Server, *, limit: int = 1_000) -> None:
        self._server = server
        self._limit = limit
        self._link: Link = server.link()
        self._ears: dict[str, set[Ear]] = {}
        self._active: set[str] = set()
        self._ready = False
        """Whether the link is past its greeting, which would take the answer to a command for its own."""
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def join(self, channels: Iterable[str]) -> Ear:
        """Listen from now on; raise `Unavailable` when the server does not confirm it within 5 s."""
        ear = Ear({self._server.key("ch", channel): channel for channel in channels}, self._limit)
        for key in ear.keys:
            self._ears.setdefault(key, set()).add(ear)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.leave, ear)
            try:
                missing = [key for key in ear.keys if key not in self._active]
                if missing and self._ready:
                    await self._send("SUBSCRIBE", *missing)
                async with asyncio.timeout(_JOIN_S), self._changed:
                    await self._changed.wait_for(lambda: self._active.issuperset(ear.keys))
            except (TimeoutError, RedisError, OSError) as error:
                raise Unavailable("Valkey does not answer.", hint="Start it, or check AUTOWEAVE_REDIS_URL.") from error
            undo.pop_all()
        return ear

    async def leave(self, ear: Ear) -> None:
        """Listen no more."""
        for key in ear.keys:
            ears = self._ears.get(key)
            if ears is None:
                continue
            ears.discard(ear)
            if not ears:
                del self._ears[key]
                self._active.discard(key)
                if self._ready:
                    await self._send_quietly("UNSUBSCRIBE", key)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        first = True
        while True:
            try:
                await connect(self._link)
                self._ready = True
                if self._ears:
                    await self._send("SUBSCRIBE", *self._ears)
                if not first:
                    self._tell_all_to_look()
                first = False
                while True:
                    await self._read()
                    backoff.reset()
            except (RedisError, OSError, TimeoutError) as error:
                if backoff.fresh:
                    log.warning("live.listener_lost", error=str(error))
            except Exception:
                # A fault with one notice must not end the hearing of all others.
                log.exception("live.listener_failed")
            finally:
                self._ready = False
                self._active.clear()
                await self._link.disconnect(nowait=True)
            await backoff.wait()

    async def _read(self) -> None:
        reply = await self._link.read_response(disable_decoding=True, timeout=_IDLE_S)
        if reply is None:
            # Nothing was heard for long: is anybody still there?
            await self._send("PING")
            reply = await self._link.read_response(disable_decoding=True, timeout=_IDLE_S)
            if reply is None:
                raise TimeoutError("no answer to a ping")
        await self._hear(cast("list[Reply]", reply))

    async def _hear(self, reply: list[Reply]) -> None:
        kind, name = cast("bytes", reply[0]), cast("bytes", reply[1]).decode()
        if kind == b"message":
            for ear in self._ears.get(name, ()):
                ear.put(Notice(ear.keys[name], cast("bytes", reply[2])))
        elif kind == b"subscribe":
            async with self._changed:
                self._active.add(name)
                self._changed.notify_all()

    def _tell_all_to_look(self) -> None:
        for key, ears in self._ears.items():
            for ear in ears:
                ear.put(Notice(ear.keys[key], b""))

    async def _send(self, *command: str) -> None:
        await self._link.send_packed_command(pack(*command))

    async def _send_quietly(self, *command: str) -> None:
        try:
            await self._send(*command)
        except (RedisError, OSError):
            log.debug("live.leave_unsent")
