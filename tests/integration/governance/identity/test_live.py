"""IDN-1: what ends in one process ends in all, over a real live store; and without it within five seconds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.ports import Notice
from backend.foundation.live.service import Live
from backend.governance.identity.errors import SessionEnded
from backend.governance.identity.service import Identity
from backend.governance.identity.service import identity as identity_module
from tests.fixtures.people import LocalNotices, cheap_passwords, set_up
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


async def _ended(identity: Identity, cookie: str) -> bool:
    try:
        await identity.caller_of_session(cookie)
    except SessionEnded:
        return True
    return False


async def test_a_session_ends_in_another_process_at_once(
    sqlite_database: SqlDatabase, valkey_url: str, valkey_namespace: str
) -> None:
    stores = [ValkeyLive(valkey_url, namespace=valkey_namespace) for _ in range(2)]
    here, there = (
        Identity(sqlite_database, Live(store), Audit(sqlite_database), cheap_passwords()) for store in stores
    )
    house = await set_up(here)
    listening = asyncio.create_task(there.run())
    # Heard once, it is heard always: the first notices may come before the listener.
    await until(lambda: _hears(stores[0], there))
    assert await there.caller_of_session(house.admin.cookie)
    await here.sign_out(house.admin.caller)
    await until(lambda: _ended(there, house.admin.cookie), 2.0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    for store in stores:
        await store.close()


async def _hears(store: ValkeyLive, listener: Identity) -> bool:
    before = listener._cache.generation  # pyright: ignore[reportPrivateUsage]
    await store.notify("sessions", b"nobody")
    await asyncio.sleep(0.01)
    return listener._cache.generation > before  # pyright: ignore[reportPrivateUsage]


class Failing(LocalNotices):
    """A live store that is down at first, then breaks in another way, then works."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = [Unavailable("The live store does not answer."), RuntimeError("surprise")]

    @asynccontextmanager
    async def listen(self, *channels: str) -> AsyncGenerator[AsyncIterator[Notice]]:
        if self.failures:
            raise self.failures.pop(0)
        async with super().listen(*channels) as notices:
            yield notices


async def test_a_listener_that_fails_begins_again(
    sqlite_database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_module, "_LISTEN_AGAIN_S", 0.01)
    notices = Failing()
    identity = Identity(sqlite_database, notices, Audit(sqlite_database), cheap_passwords())
    listening = asyncio.create_task(identity.run())
    await until(lambda: notices.listeners > 0)
    assert notices.failures == []
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
