"""A client that is made when first needed, and made anew after a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Generic, Protocol, TypeVar

from backend.adapters.kafka.ending import start_whole


class _Startable(Protocol):
    async def start(self) -> None: ...


Client = TypeVar("Client", bound=_Startable)


class Held(Generic[Client]):
    """Keeps one client.

    Args:
        make: returns a client that is not started.
        close: gives its connections back, started or not; does not raise.
    """

    def __init__(self, make: Callable[[], Client], close: Callable[[Client], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    async def get(self) -> Client:
        """Return the client, started; raise what the library does when the broker does not answer."""
        async with self._opening:
            if self._client is None:
                self._client = await self._started()
            return self._client

    async def forget(self) -> None:
        """Close it; the next `get` makes another."""
        client, self._client = self._client, None
        if client is not None:
            await self._close(client)

    async def _started(self) -> Client:
        client = self._make()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._close, client)
            await start_whole(client)
            undo.pop_all()
        return client
