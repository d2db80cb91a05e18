"""One HTTP/1.1 connection of a client: h11 for the protocol, asyncio for the bytes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import h11
import httpx2

Origin = tuple[str, str, int]
"""Scheme, host and port."""

_MOST_UNREAD = 1024 * 1024


@contextmanager
def failing_as(late: type[httpx2.TransportError], lost: type[httpx2.TransportError]) -> Generator[None]:
    """Raise what goes wrong inside as httpx would."""
    try:
        yield
    except TimeoutError as error:
        raise late("") from error
    except OSError as error:
        raise lost("") from error
    except h11.ProtocolError as error:
        raise httpx2.RemoteProtocolError("") from error


async def connect(origin: Origin, tls: ssl.SSLContext | None, timeout_s: float | None) -> "Connection":
    """Open a connection, encrypted where a context is given."""
    _, host, port = origin
    with failing_as(httpx2.ConnectTimeout, httpx2.ConnectError):
        async with asyncio.timeout(timeout_s):
            loop = asyncio.get_running_loop()
            _, pipe = await loop.create_connection(_Pipe, host, port, ssl=tls)
    return Connection(origin, pipe)


class Connection:
    """Carries one request after the other.

    Attributes:
        idle_since: when its last answer ended, by the loop's clock.
    """

    def __init__(self, origin: Origin, pipe: "_Pipe") -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._pipe = pipe
        self._protocol = h11.Connection(h11.CLIENT)

    def send(self, request: httpx2.Request, body: bytes) -> None:
        """Send head and body in one write; nobody waits for it, as the answer's time-out covers it."""
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        with failing_as(httpx2.WriteTimeout, httpx2.WriteError):
            data = [self._protocol.send(event) for event in (head, h11.Data(data=body), h11.EndOfMessage())]
            self._pipe.write(b"".join(part for part in data if part))

    async def head(self, timeout_s: float | None) -> h11.Response:
        """Read the status and the headers."""
        while True:
            event = self._next()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                await self._read(timeout_s)
            elif not isinstance(event, h11.InformationalResponse):
                raise httpx2.RemoteProtocolError("")

    async def parts(self, timeout_s: float | None) -> AsyncIterator[bytes]:
        """Yield the body, all that one read brought at once; ``timeout_s`` bounds each read."""
        waiting: list[bytes] = []
        while True:
            event = self._next()
            if isinstance(event, h11.Data):
                waiting.append(bytes(event.data))
                continue
            if waiting:
                yield b"".join(waiting)
                waiting = []
            if event is not h11.NEED_DATA:
                return
            await self._read(timeout_s)

    def renew(self) -> bool:
        """Make it ready for another request; return False when it cannot carry one."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        # What comes behind an answer would be taken for the next one.
        if self._protocol.trailing_data[0]:
            return False
        self._protocol.start_next_cycle()
        self.idle_since = asyncio.get_running_loop().time()
        return self.lives()

    def lives(self) -> bool:
        """Return whether the other side has neither hung up nor said anything unasked."""
        return self._pipe.quiet()

    def close(self) -> None:
        """Hang up at once: nobody waits for what may still come."""
        self._pipe.abort()

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        with failing_as(httpx2.ReadTimeout, httpx2.ReadError):
            return self._protocol.next_event()

    async def _read(self, timeout_s: float | None) -> None:
        with failing_as(httpx2.ReadTimeout, httpx2.ReadError):
            async with asyncio.timeout(timeout_s):
                self._protocol.receive_data(await self._pipe.read())


class _Pipe(asyncio.Protocol):
    """The bytes of a connection; what is not read soon makes the sender wait."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > _MOST_UNREAD and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        self._wake()

    def write(self, data: bytes) -> None:
        """Send; a connection that is gone is found out by the read that follows."""
        if self._transport is not None:
            self._transport.write(data)

    async def read(self) -> bytes:
        """Return what has come, waiting for it; nothing when the other side has hung up."""
        if not self._unread and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._unread and self._error is not None:
            raise self._error
        data = bytes(self._unread)
        self._unread.clear()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def quiet(self) -> bool:
        """Return whether it is open and has brought nothing that was not read."""
        return not self._ended and not self._unread

    def abort(self) -> None:
        """Close without waiting for what was not sent."""
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
