"""``INSERT … ON CONFLICT`` in the dialect of the session's database."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(session: AsyncSession, table: Any) -> sqlite.Insert:
    """Return the dialect's insert; both dialects offer the same methods, typed here as SQLite's."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)  # pyright: ignore[reportReturnType]
    return sqlite.insert(table)
