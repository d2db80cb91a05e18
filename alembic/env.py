"""Runs migrations on the database that settings name, SQLite or PostgreSQL."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection
from sqlmodel.sql.sqltypes import AutoString

from backend.adapters.database.database import SqlDatabase
from backend.bootstrap.settings import load
from backend.bootstrap.tables import METADATA


def _url() -> str:
    return context.config.attributes.get("url") or load().database_url


def _render(kind: str, item: Any, _context: object) -> str | bool:
    """Write SQLModel's string as what it is, so that a migration does not depend on SQLModel."""
    return f"sa.String(length={item.length})" if kind == "type" and isinstance(item, AutoString) else False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        # SQLite cannot alter most of a table in place: it is copied into a new one.
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        user_module_prefix="tables.",
        render_item=_render,
        include_name=lambda name, kind, _parents: kind != "table" or name in METADATA.tables,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate() -> None:
    database = SqlDatabase(_url())
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(_migrate())
