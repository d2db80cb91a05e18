"""A pool of HTTP/1.1 connections for answers that stream.

A streamed answer is hundreds of tiny parts. Through the layers of httpx's own transport each of them costs more than
its JSON; here all that one read brings stays together, and a turn of a hundred tokens costs a third.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from backend.adapters.providers.library.connection import Connection, Origin, connect, failing_as


class StreamTransport(httpx2.AsyncBaseTransport):
    """A bounded pool whose connections are kept between requests; the newest idle one is used first.

    Args:
        max_connections: requests under way at once; further ones wait for the request's ``pool`` timeout.
        keep_alive_s: how long an idle connection is kept, in seconds.
        tls: for ``https``; the default trusts what httpx trusts.
    """

    def __init__(self, *, max_connections: int, keep_alive_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._places = asyncio.Semaphore(max_connections)
        self._keep_alive_s = keep_alive_s
        self._idle: dict[Origin, deque[Connection]] = {}
        self._tls = tls

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the answer's head; the body is read as it is iterated.

        Raises:
            httpx2.TransportError: as httpx's own transport raises it.
        """
        timeouts: dict[str, Any] = request.extensions["timeout"]
        body = await request.aread()
        with failing_as(httpx2.PoolTimeout, httpx2.PoolTimeout):
            async with asyncio.timeout(timeouts["pool"]):
                await self._places.acquire()
        with ExitStack() as undo:
            undo.callback(self._places.release)
            connection = self._kept(request.url) or await self._connect(request.url, timeouts["connect"])
            undo.callback(connection.close)
            connection.send(request, body)
            head = await connection.head(timeouts["read"])
            undo.pop_all()
        stream = _Body(self, connection, timeouts["read"])
        return httpx2.Response(
            head.status_code,
            headers=list(head.headers.raw_items()),
            stream=stream,
            extensions={"http_version": b"HTTP/1.1"},
        )

    def give_back(self, connection: Connection) -> None:
        """Take a connection whose answer was read, or given up: only after a whole answer it is used again."""
        self._places.release()
        if connection.renew():
            self._idle.setdefault(connection.origin, deque()).append(connection)
        else:
            connection.close()

    async def aclose(self) -> None:
        """Close what is idle; connections in use close with their answers."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, url: httpx2.URL) -> Connection | None:
        connections = self._idle.get(_origin(url), deque[Connection]())
        oldest = asyncio.get_running_loop().time() - self._keep_alive_s
        while connections and connections[0].idle_since < oldest:
            connections.popleft().close()
        while connections:
            connection = connections.pop()
            if connection.lives():
                return connection
            connection.close()
        return None

    async def _connect(self, url: httpx2.URL, timeout_s: float | None) -> Connection:
        origin = _origin(url)
        if origin[0] != "https":
            return await connect(origin, None, timeout_s)
        if self._tls is None:
            # Reads a few hundred certificates.
            self._tls = await asyncio.to_thread(httpx2.create_ssl_context)
        return await connect(origin, self._tls, timeout_s)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, transport: StreamTransport, connection: Connection, timeout_s: float | None) -> None:
        self._transport = transport
        self._connection: Connection | None = connection
        self._parts = connection.parts(timeout_s)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.give_back(connection)


def behind_proxy(url: str) -> bool:
    """Return whether the machine's settings send requests for this address through a proxy, which needs httpx's own."""
    parsed = httpx2.URL(url)
    proxies = getproxies()
    return bool(proxies.get(parsed.scheme) or proxies.get("all")) and not proxy_bypass(parsed.host)


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
