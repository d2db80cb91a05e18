"""Engines for SQLite (WAL, one writer, many readers) and PostgreSQL, chosen by URL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from backend.adapters.database.inline import InlineConnection
from backend.foundation.kernel.errors import Invalid

_READERS = 8
_POSTGRESQL_POOL = 16
# How long SQLite itself waits. A writer does so in `inline`, off the event loop.
_BUSY_MS = 0
_READ_BUSY_MS = 2_000


def parse_url(text: str) -> URL:
    """Return the URL with its asynchronous driver; raise `Invalid` for anything but SQLite or PostgreSQL."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise Invalid("AUTOWEAVE_DATABASE_URL is not a database URL.", hint=_HINT) from error
    match url.get_backend_name():
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+asyncpg")
        case other:
            raise Invalid(f"AUTOWEAVE_DATABASE_URL names {other!r}, which AutoWeave cannot use.", hint=_HINT)


_HINT = "Use `postgresql://user:password@host:5432/name`, or leave it unset for SQLite in the data folder."


def sqlite_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine]:
    """Return the writer (a pool of one, ``BEGIN IMMEDIATE``) and the readers (``query_only``) of a SQLite file."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    threads = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
    writer = _sqlite_engine(url, size=1, threads=threads)
    reader = _sqlite_engine(url, size=_READERS, threads=None)
    _prepare_sqlite(writer, begin="BEGIN IMMEDIATE", readonly=False)
    _prepare_sqlite(reader, begin="BEGIN", readonly=True)
    return writer, reader


def postgresql_engine(url: URL) -> AsyncEngine:
    """Return the one engine of a PostgreSQL server."""
    return create_async_engine(
        url,
        pool_size=_POSTGRESQL_POOL,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={"timeout": 10, "server_settings": {"application_name": "autoweave", "jit": "off"}},
        **_JSON,
    )


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_JSON: dict[str, Any] = {
    "json_serializer": _encode,
    "json_deserializer": msgspec.json.decode,
}


def _sqlite_engine(url: URL, *, size: int, threads: ThreadPoolExecutor | None) -> AsyncEngine:
    async def connect(*_: Any, **__: Any) -> InlineConnection:
        return InlineConnection(url.database or "", threads)

    return create_async_engine(url, async_creator=connect, pool_size=size, max_overflow=0, pool_timeout=30, **_JSON)


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, readonly: bool) -> None:
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            # A reader of a WAL meets a lock only in the moment of a recovery.
            f"busy_timeout={_READ_BUSY_MS if readonly else _BUSY_MS}",
            "foreign_keys=ON",
            "cache_size=-16000",
            "temp_store=MEMORY",
            "wal_autocheckpoint=2000",
            f"query_only={'ON' if readonly else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
