"""OPS-1: several processes write to one SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from backend.adapters.database import inline
from backend.adapters.database.database import SqlDatabase
from backend.foundation.kernel.errors import Unavailable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "writers.db"


@pytest_asyncio.fixture
async def database(file: Path) -> AsyncGenerator[SqlDatabase]:
    database = SqlDatabase(f"sqlite:///{file}")
    async with database.system_write() as session:
        await session.execute(text("CREATE TABLE counted (number INTEGER)"))
    yield database
    await database.close()


async def test_a_writer_waits_for_another_and_goes_on(database: SqlDatabase, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(_count(database, 1))
    done, _ = await asyncio.wait([writing], timeout=0.1)
    assert not done
    other.execute("INSERT INTO counted VALUES (0)")
    other.execute("COMMIT")
    await writing
    assert other.execute("SELECT number FROM counted").fetchall() == [(0,), (1,)]
    other.close()


async def test_a_writer_that_waited_too_long_says_that_another_writes(
    database: SqlDatabase, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "_LOCKED_S", 0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy with another writer"):
        await _count(database, 1)
    other.execute("ROLLBACK")
    await _count(database, 2)
    assert other.execute("SELECT number FROM counted").fetchall() == [(2,)]
    other.close()


async def test_many_writers_of_several_connections_lose_nothing(database: SqlDatabase, file: Path) -> None:
    second = SqlDatabase(f"sqlite:///{file}")
    await asyncio.gather(*(_count(each, number) for number in range(50) for each in (database, second)))
    async with second.system_read() as session:
        assert (await session.execute(text("SELECT count(*) FROM counted"))).scalar_one() == 100
    await second.close()


async def _count(database: SqlDatabase, number: int) -> None:
    async with database.system_write() as session:
        await session.execute(text("INSERT INTO counted VALUES (:number)"), {"number": number})
