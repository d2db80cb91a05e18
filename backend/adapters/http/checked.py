"""`CheckedNetwork`: connections to exactly the addresses that were checked.

A name is resolved once, all that it leads to is judged, and the connection is made to one of those very addresses: what
the name leads to a moment later plays no part. TLS is checked against the name, which the layer above knows.
"""

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpcore

from backend.domain.webhooks.errors import AddressRefused, NotDelivered
from backend.domain.webhooks.rules.addresses import Allowed, check_address

_RESOLVING = 16
_MOST_ADDRESSES = 8


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves in threads of its own, since a name server that is silent holds one up for long."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._sockets = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._threads: ThreadPoolExecutor | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the addresses that answers, within ``timeout`` seconds for all of it.

        Raises:
            AddressRefused: one of the addresses may not be sent to; then none is.
            NotDelivered: the name leads nowhere.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(await self._resolve(host, port), port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error

    async def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore.AsyncNetworkStream:
        """Refuse: no address leads to a socket of this machine."""
        raise NotDelivered("Only addresses of the network can be sent to.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def close(self) -> None:
        """End the threads once they are done."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _resolve(self, host: str, port: int) -> list[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_RESOLVING, thread_name_prefix="resolve")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError) as error:
            raise NotDelivered(f"The name {host[:80]!r} leads nowhere.") from error
        for address in found:
            try:
                check_address(address, self._allowed)
            except AddressRefused as error:
                # Which one it is would tell people what our own name servers know.
                raise AddressRefused("The name leads to an address that is not public.", field="url") from error
        return found[:_MOST_ADDRESSES]

    async def _connect(
        self, addresses: list[str], port: int, local_address: str | None, options: Iterable[Any] | None
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception = NotDelivered("The name leads nowhere.")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(address, port, None, local_address, options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
