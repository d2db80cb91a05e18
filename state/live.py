"""How a page hears that something has changed on the server."""

import asyncio
from collections.abc import AsyncGenerator

from backend.app import current
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live import rules

RETRY_S = 2.0


def thread_changes(caller: Caller, thread: str) -> AsyncGenerator[None]:
    """Something in one chat changed; a foreign tenant's chat is silent, since the caller's names the channel."""
    return changes(rules.thread_channel(caller.tenant, thread))


def history_changes(caller: Caller) -> AsyncGenerator[None]:
    """The caller's list of chats changed."""
    return changes(rules.threads_channel(caller.tenant, caller.subject))


def session_changes() -> AsyncGenerator[None]:
    """A session or key was revoked somewhere."""
    return changes(rules.sessions_channel())


def health_changes() -> AsyncGenerator[None]:
    """A part of the system changed its health."""
    return changes(rules.health_channel())


def webhook_changes(caller: Caller) -> AsyncGenerator[None]:
    """A webhook of the caller's tenant, or what is sent to one, changed."""
    return changes(rules.webhooks_channel(caller.tenant))


async def changes(*channels: str) -> AsyncGenerator[None]:
    """Yield once the channels are heard, then at each notice, until the task ends.

    A live store that is down costs promptness only: until it is back the page is told to look every 2 s.
    """
    while True:
        try:
            async with current().live.listen(*channels) as notices:
                yield
                async for _ in notices:
                    yield
        except Unavailable:
            yield
            await asyncio.sleep(RETRY_S)


async def at_least_every(seconds: float, heard: AsyncGenerator[None]) -> AsyncGenerator[None]:
    """Yield whenever ``heard`` does, and when it was silent for that long."""
    waiting: asyncio.Task[None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.create_task(_one(heard))
            done, _ = await asyncio.wait([waiting], timeout=seconds)
            if done:
                waiting.result()
                waiting = None
            yield
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await heard.aclose()


async def _one(heard: AsyncGenerator[None]) -> None:
    await anext(heard)
