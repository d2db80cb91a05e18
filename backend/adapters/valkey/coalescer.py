"""Many small requests into few large ones: while one batch is on its way the next one gathers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from backend.foundation.kernel.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Sends items in the order in which they came, one batch at a time.

    Args:
        send: carries out a batch; returns a result for each item, or raises for the whole batch.
        batch: the most items of a batch.
        limit: the most items that wait; beyond it `put` raises `Unavailable`.
    """

    def __init__(
        self, send: Callable[[list[Item]], Awaitable[Sequence[Result]]], *, batch: int = 256, limit: int = 20_000
    ) -> None:
        self._send = send
        self._batch = batch
        self._limit = limit
        self._waiting: deque[tuple[list[Item], asyncio.Future[Sequence[Result]]]] = deque()
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def put(self, items: Sequence[Item]) -> list[Result]:
        """Send the items and return their results; raise what `send` raised."""
        if self._count + len(items) > self._limit:
            raise Unavailable(f"More than {self._limit} messages wait for Valkey already.")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Sequence[Result]]] = []
        for start in range(0, len(items), self._batch):
            chunk = list(items[start : start + self._batch])
            future: asyncio.Future[Sequence[Result]] = loop.create_future()
            self._waiting.append((chunk, future))
            self._count += len(chunk)
            futures.append(future)
        if self._task is None and futures:
            self._task = asyncio.create_task(self._run())
        chunks = [await future for future in futures] if len(futures) == 1 else await asyncio.gather(*futures)
        return [result for chunk in chunks for result in chunk]

    async def close(self) -> None:
        """Send what waits, then stop."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._send_next()
        finally:
            self._task = None

    async def _send_next(self) -> None:
        items: list[Item] = []
        parts: list[tuple[int, asyncio.Future[Sequence[Result]]]] = []
        while self._waiting and len(items) + len(self._waiting[0][0]) <= self._batch:
            chunk, future = self._waiting.popleft()
            self._count -= len(chunk)
            items += chunk
            parts.append((len(chunk), future))
        try:
            results = await self._send(items)
        except Exception as error:  # noqa: BLE001 - each who waits gets it, the loop goes on
            _fail(parts, error)
            return
        except asyncio.CancelledError:
            _fail(parts, Unavailable("It was shut down."))
            raise
        start = 0
        for length, future in parts:
            if not future.done():
                future.set_result(results[start : start + length])
            start += length


def _fail(parts: Sequence[tuple[int, asyncio.Future[Any]]], error: Exception) -> None:
    for _, future in parts:
        if not future.done():
            future.set_exception(error)
