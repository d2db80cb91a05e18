"""SQLite for asyncio without a thread hop a statement.

A statement on a local file takes some 20 µs, handing it to a thread and back five times as much of CPU. So statements
run where they are asked for; only what may wait goes to a thread: taking the write lock and making a commit durable.
The classes have the shape of aiosqlite's, which is what SQLAlchemy's dialect drives.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_STATEMENTS = 512
_LOCKED_S = 15.0
_LOOK_AGAIN_S = 0.000_3
"""A writer holds the lock for some 0.5 ms."""


class InlineConnection:
    """A connection; one task at a time uses it, which is what SQLAlchemy's pool sees to.

    Args:
        path: the database's file.
        threads: where a writer waits; a reader waits for nobody and has none.
    """

    def __init__(self, path: str, threads: ThreadPoolExecutor | None) -> None:
        # Without isolation level: the engine's own BEGIN says which lock is taken.
        self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS)
        self._threads = threads

    async def cursor(self) -> "InlineCursor":
        """Return a cursor."""
        return InlineCursor(self, self._conn.cursor())

    async def commit(self) -> None:
        """Commit; a writer waits for the disk in a thread."""
        await self.wait_for(self._conn.commit)

    async def rollback(self) -> None:
        """Roll back."""
        self._conn.rollback()

    async def close(self) -> None:
        """Close the file."""
        self._conn.close()

    def stop(self) -> None:
        """Close the file at once, when nobody can wait for it any more."""
        self._conn.close()

    async def create_function(self, name: str, count: int, function: Callable[..., Any], **options: Any) -> None:
        """Give SQL a function, as SQLAlchemy does for ``REGEXP``."""
        self._conn.create_function(name, count, function, **options)

    async def wait_for(self, work: Callable[[], object]) -> None:
        """Run what may wait in a thread, if there is one.

        A cancelled caller is held until it is done, for no thread may use the connection after him.
        """
        if self._threads is None:
            work()
            return
        done = asyncio.get_running_loop().run_in_executor(self._threads, _patiently, work)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            # Read, so that nobody complains that it was not.
            _ = done.exception()
            raise


def _patiently(work: Callable[[], object]) -> None:
    """Try again while another process writes: SQLite itself would soon look only every 50 or 100 ms."""
    until = time.monotonic() + _LOCKED_S
    while not _done(work, last=time.monotonic() > until):
        time.sleep(_LOOK_AGAIN_S)


def _done(work: Callable[[], object], *, last: bool = False) -> bool:
    """Try once; return whether it was done, or raise what is no lock, or the lock itself at the ``last`` attempt."""
    try:
        work()
    except sqlite3.OperationalError as error:
        if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


class InlineCursor:
    """A cursor; its rows are read where they are asked for."""

    def __init__(self, connection: InlineConnection, cursor: sqlite3.Cursor) -> None:
        self._connection = connection
        self._cursor = cursor

    @property
    def description(self) -> Any:
        """The columns of the result, ``None`` where there are none."""
        return self._cursor.description

    @property
    def lastrowid(self) -> int | None:
        """The id of the last row that was inserted."""
        return self._cursor.lastrowid

    @property
    def rowcount(self) -> int:
        """How many rows a change touched."""
        return self._cursor.rowcount

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement; ``BEGIN IMMEDIATE`` waits in a thread while another writes."""
        if operation != "BEGIN IMMEDIATE":
            self._cursor.execute(operation, parameters)
        elif not _done(lambda: self._cursor.execute(operation)):
            await self._connection.wait_for(lambda: self._cursor.execute(operation))

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        self._cursor.executemany(operation, parameters)

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Give the statement back."""
        self._cursor.close()
