"""An identity room over each database."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from backend.adapters.database.database import SqlDatabase
from backend.governance.identity.service import Identity
from tests.fixtures.people import SetUp, make_identity, set_up


@pytest_asyncio.fixture
async def identity(database: SqlDatabase) -> AsyncGenerator[Identity]:
    room = make_identity(database)
    yield room
    await room.close()


@pytest_asyncio.fixture
async def house(identity: Identity) -> SetUp:
    return await set_up(identity)
