"""One Valkey or Redis server: a bounded pool, scripts, connections of one's own, and errors in the product's words."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Protocol, cast

import hiredis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from backend.adapters.valkey.spans import command_span
from backend.foundation.kernel.errors import Unavailable

Argument = str | bytes | int
Reply = None | int | bytes | list["Reply"]

_CALL_TIMEOUT_S = 5.0


class Script:
    """A Lua script; ``KEYS`` come first. The server keeps it by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Link(Protocol):
    """A connection that belongs to one task, for what blocks: commands out, replies in."""

    @property
    def is_connected(self) -> bool: ...

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool = False) -> None: ...

    async def send_packed_command(self, command: bytes) -> None: ...

    async def read_response(self, disable_decoding: bool = False, timeout: float | None = None) -> Reply: ...


class _Pool(Protocol):
    async def get_connection(self) -> Link: ...

    async def release(self, connection: Link) -> None: ...

    def make_connection(self) -> Link: ...

    async def aclose(self) -> None: ...


class Server:
    """A server under one name space: two products, or two tests, share it without meeting.

    Args:
        url: ``redis://[user:password@]host:port[/db]``, ``rediss://…`` or ``unix://path``.
        namespace: the first part of each key and channel.
        connections: the most that the pool opens; a call waits for a free one up to 5 s.
    """

    def __init__(self, url: str, *, namespace: str, connections: int = 8) -> None:
        self.namespace = namespace
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            max_connections=connections,
            timeout=_CALL_TIMEOUT_S,
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._pool = cast("_Pool", pool)

    def key(self, *parts: str | int) -> str:
        """Return a key or channel of this name space."""
        return ":".join((self.namespace, *map(str, parts)))

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply; raise `Unavailable` when the server cannot take it within 5 s."""
        try:
            return await self._call(command)
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        """Run a script, atomically; errors are those of `call`."""
        tail = (len(keys), *keys, *arguments)
        try:
            try:
                return await self._call(("EVALSHA", script.digest, *tail))
            except NoScriptError:
                return await self._call(("EVAL", script.source, *tail))
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error

    async def ping(self) -> float:
        """Return the milliseconds of a round trip; raise `Unavailable` when there is none within 2 s."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(2):
                await self.call("PING")
        except TimeoutError as error:
            raise unavailable(error) from error
        return (time.perf_counter() - started) * 1000

    def link(self) -> Link:
        """Return a connection outside the pool, not connected yet; its owner closes it."""
        return self._pool.make_connection()

    async def close(self) -> None:
        """Close the pool's connections."""
        await self._pool.aclose()

    async def _call(self, command: tuple[Argument, ...]) -> Reply:
        packed = pack(*command)
        with command_span((command,)):
            return await self._exchange(packed)

    async def _exchange(self, packed: bytes) -> Reply:
        async with asyncio.timeout(_CALL_TIMEOUT_S):
            link = await self._pool.get_connection()
            answered = False
            try:
                await link.send_packed_command(packed)
                reply = await _reply(link)
                answered = True
            finally:
                if not answered:
                    # A reply may still be on its way: whoever gets this connection next would read it as his own.
                    await link.disconnect(nowait=True)
                await self._pool.release(link)
        if isinstance(reply, ResponseError):
            raise reply
        return reply


class Line:
    """A connection for calls that go one after the other: a third of the pool's cost each. Connects when needed.

    A command that met a dead connection is sent once more over a new one, so it may have been carried out twice.
    """

    def __init__(self, server: Server) -> None:
        self._link = server.link()
        self._lock = asyncio.Lock()

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        """Run a script, atomically; raise `Unavailable` when the server cannot within 5 s."""
        tail = (len(keys), *keys, *arguments)
        reply = (await self.pipeline([("EVALSHA", script.digest, *tail)]))[0]
        if isinstance(reply, NoScriptError):
            reply = (await self.pipeline([("EVAL", script.source, *tail)]))[0]
        if isinstance(reply, ResponseError):
            raise unavailable(reply) from reply
        return reply

    async def pipeline(self, commands: Sequence[tuple[Argument, ...]]) -> list[Reply | ResponseError]:
        """Send commands at once and return a reply or a refusal for each."""
        packed = b"".join([pack(*command) for command in commands])
        async with self._lock:
            with command_span(commands):
                return await self._sent(packed, len(commands))

    async def _sent(self, packed: bytes, count: int) -> list[Reply | ResponseError]:
        try:
            if self._link.is_connected:
                try:
                    return await self._exchange(packed, count)
                except (RedisConnectionError, OSError):
                    await self._link.disconnect(nowait=True)
            return await self._exchange(packed, count)
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._link.disconnect()

    async def _exchange(self, packed: bytes, count: int) -> list[Reply | ResponseError]:
        answered = False
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                if not self._link.is_connected:
                    await self._link.connect()
                await self._link.send_packed_command(packed)
                replies = [await _reply(self._link) for _ in range(count)]
            answered = True
            return replies
        finally:
            if not answered:
                await self._link.disconnect(nowait=True)


async def _reply(link: Link) -> Reply | ResponseError:
    try:
        return await link.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


async def connect(link: Link) -> None:
    """Connect within 5 s: a server that hangs takes a connection too, and answers nothing."""
    async with asyncio.timeout(_CALL_TIMEOUT_S):
        await link.connect()


def pack(*command: Argument) -> bytes:
    """Return a command as bytes of the protocol."""
    # The stub says a tuple of one.
    return cast("bytes", hiredis.pack_command(command))  # pyright: ignore[reportArgumentType, reportUnknownMemberType]


def unavailable(error: Exception) -> Unavailable:
    """Return what happened to the server in words that an operator can act on."""
    words = str(error)
    if words.startswith(("OOM", "command not allowed when used memory")) or "maxmemory" in words:
        return Unavailable("Valkey is out of memory.", hint="Raise its maxmemory, or let consumers catch up.")
    if isinstance(error, ResponseError):
        return Unavailable(f"Valkey refused a command: {words}", hint="Look at the log of Valkey.")
    return Unavailable("Valkey does not answer.", hint="Start it, or check AUTOWEAVE_REDIS_URL.")
