"""The bus room on a real database and a real Valkey."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.audit.service import Audit
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.service import BusService, DeadLetters
from backend.foundation.live.service import Live

ServiceFactory = Callable[..., Awaitable[BusService]]


@pytest_asyncio.fixture
async def services(database: SqlDatabase, valkey_url: str, valkey_namespace: str) -> AsyncGenerator[ServiceFactory]:
    """A factory of started bus services, each as another process would have it; ``broker`` replaces the Valkey bus."""
    async with AsyncExitStack() as stack:

        async def make(*, broker: Bus | None = None, start: bool = True) -> BusService:
            live = Live(ValkeyLive(valkey_url, namespace=valkey_namespace))
            stack.push_async_callback(live.close)
            bus = broker or ValkeyBus(valkey_url, namespace=valkey_namespace, lease_ms=1_500)
            service = BusService(bus, database, live)
            stack.push_async_callback(service.close)
            if start:
                await service.start()
            return service

        yield make


@pytest_asyncio.fixture
async def bus(services: ServiceFactory) -> BusService:
    """One service, started."""
    return await services()


@pytest.fixture
def letters(bus: BusService, database: SqlDatabase) -> DeadLetters:
    """What that service gave up."""
    return DeadLetters(database, bus, Audit(database))


@pytest_asyncio.fixture
async def relay(bus: BusService) -> AsyncGenerator[asyncio.Task[None]]:
    """A relay of that service, at work."""
    task = asyncio.create_task(bus.run_relay())
    yield task
    task.cancel()
    await asyncio.wait([task])
