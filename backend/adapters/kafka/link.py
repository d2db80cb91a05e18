"""The producer in use: made again, for ever, when it breaks."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from backend.adapters.kafka.clients import Clients, Producer
from backend.adapters.kafka.ending import end_producer
from backend.adapters.kafka.failures import FAILURES
from backend.adapters.kafka.options import KafkaOptions
from backend.foundation.kernel.backoff import Backoff
from backend.foundation.kernel.errors import Unavailable

_log = structlog.get_logger(__name__)


class ProducerLink:
    """Holds one producer, and another after each failure.

    A batch that failed has used up sequence numbers, so that the broker refuses all later ones of that producer.

    Args:
        clients: makes producers.
        options: times.
    """

    def __init__(self, clients: Clients, options: KafkaOptions) -> None:
        self._clients = clients
        self._options = options
        self._producer: Producer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Connect once; raise what the library does when the broker does not answer."""
        if self._producer is None:
            self._producer = await self._connected()

    async def get(self) -> Producer:
        """Return a producer, as soon as there is a broker: limit it."""
        while self._producer is None:
            if self._closed:
                raise Unavailable("The bus is closed.")
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.create_task(self._connect())
            await asyncio.wait([self._connecting])
        return self._producer

    def renew(self, broken: Producer, *, drop: bool) -> None:
        """Take another producer from now on; ``drop`` what the broken one still holds, else let it finish."""
        if broken is self._producer:
            self._producer = None
            task = asyncio.create_task(self._retire(broken, drop=drop))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Give the connections back."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._producer is not None:
            self.renew(self._producer, drop=False)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _connect(self) -> None:
        backoff = Backoff()
        while self._producer is None:
            try:
                self._producer = await self._connected()
            except FAILURES as error:
                _log.warning("bus.writer_not_back", error=repr(error))
                await backoff.wait()

    async def _connected(self) -> Producer:
        producer = self._clients.producer()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(end_producer, producer)
            async with asyncio.timeout(self._options.start_s):
                await producer.start()
            undo.pop_all()
        return producer

    async def _retire(self, producer: Producer, *, drop: bool) -> None:
        try:
            async with asyncio.timeout(0 if drop else self._options.publish_s):
                await producer.flush()
        except TimeoutError:
            _log.warning("bus.writer_dropped_messages")
        await end_producer(producer)
