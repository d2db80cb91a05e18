"""A backend that also does the `jobs` role and may send to this machine, and a receiver."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest_asyncio

from tests.fixtures.engine import Engine, opened
from tests.fixtures.model_stub import ModelStub

ROLES = ("agents", "jobs", "relay")
ALLOWED = {"AUTOWEAVE_WEBHOOK_NETWORKS": "127.0.0.0/8", "AUTOWEAVE_WEBHOOK_HTTP": "on"}


@pytest_asyncio.fixture
async def house(
    database_url: str, valkey_url: str, valkey_namespace: str, model_stub: ModelStub, tmp_path: Path
) -> AsyncGenerator[Engine]:
    """At work on each database."""
    async with opened(
        database_url, valkey_url, valkey_namespace, model_stub, tmp_path, roles=ROLES, **ALLOWED
    ) as engine:
        yield engine


@pytest_asyncio.fixture
async def sqlite_house(
    sqlite_url: str, valkey_url: str, valkey_namespace: str, model_stub: ModelStub, tmp_path: Path
) -> AsyncGenerator[Engine]:
    """On SQLite alone, for what does not depend on the database."""
    async with opened(sqlite_url, valkey_url, valkey_namespace, model_stub, tmp_path, roles=ROLES, **ALLOWED) as engine:
        yield engine
