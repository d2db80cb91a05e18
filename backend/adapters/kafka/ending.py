"""Ending clients of the library, which may hang, fail, or raise the cancellation of a task of its own."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from backend.adapters.kafka.clients import Admin, Consumer, Producer, connections_of, sender_of

_log = structlog.get_logger(__name__)
_END_S = 5.0
_SENDER_S = 15.0
# Who asks for health or has left a page does not wait for a broker that stands still.
_HALF_MADE_S = 0.25


class _Startable(Protocol):
    async def start(self) -> None: ...


async def start_whole(client: _Startable) -> None:
    """Start a client; who is cancelled meanwhile waits a moment for the start to end, so that nothing is half made.

    The library knows no connection that it was interrupted in making, so nobody would close it.
    """
    task = asyncio.create_task(client.start())
    try:
        await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task], timeout=_HALF_MADE_S)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()


async def end_consumer(consumer: Consumer) -> None:
    """Leave the group, if any, and close the connections, whatever state they are in; never raises."""
    await _apart(consumer.stop(), _END_S)
    # A stop that was cut short has not come to its connections.
    await _apart(connections_of(consumer).close(), _END_S)


async def end_admin(admin: Admin) -> None:
    """Close the connections; never raises."""
    await _apart(admin.close(), _END_S)


async def end_producer(producer: Producer) -> None:
    """End a producer without sending what it still holds, which `Producer.stop` would retry for ever; never raises."""
    sender = sender_of(producer)
    if sender is not None:
        await _apart(sender.close(), _SENDER_S)
    # Its destructor would warn that nobody stopped it.
    vars(producer)["_closed"] = True
    await _apart(producer.client.close(), _END_S)


async def _apart(ending: Coroutine[Any, Any, None], timeout_s: float) -> None:
    # As a task: a consumer's stop can raise the `CancelledError` of its fetch, which would end the caller's loop.
    task = asyncio.create_task(ending)
    await asyncio.wait([task], timeout=timeout_s)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
    elif not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("bus.client_not_ended", error=repr(error))
