"""A database of its own beside that of a URL: made empty, used, and dropped."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from backend.adapters.database.engine import parse_url
from backend.foundation.kernel.errors import Unavailable


class NoDatabaseMade(Unavailable):
    """The server does not let this user make a database."""

    code = "no_database_made"
    hint = "Give the user the right (ALTER ROLE … CREATEDB), or leave AUTOWEAVE_DATABASE_URL unset for this command."


@contextmanager
def database_beside(url: str, name: str, folder: Path) -> Generator[str]:
    """Make an empty database of the same kind and yield its URL; it is gone afterwards.

    Not to be called inside an event loop.

    Args:
        url: of the database that is left alone.
        name: of the new one, on the same PostgreSQL server; letters and digits.
        folder: where the new file lies if it is SQLite; its owner removes the folder.

    Raises:
        NoDatabaseMade: the server refuses it, or does not answer.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        yield f"sqlite:///{folder}/{name}.db"
        return
    asyncio.run(_tell(parsed, f'CREATE DATABASE "{name}"'))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_tell(parsed, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _tell(url: URL, statement: str) -> None:
    # Neither statement may stand in a transaction.
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    except (DBAPIError, OSError) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise NoDatabaseMade(f"PostgreSQL did not do it: {said}") from error
    finally:
        await engine.dispose()
