"""`SqlDatabase`: the kernel's `Database` port on SQLite and PostgreSQL."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from backend.adapters.database.engine import parse_url, postgresql_engine, sqlite_engines
from backend.adapters.database.tenancy import TENANT, TenantSession
from backend.foundation.kernel.errors import DiskFull, Unavailable
from backend.foundation.kernel.failpoints import hit
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.work import run_committed

_CONFINE = text("SELECT set_config('autoweave.tenant', :tenant, true)")


class SqlDatabase:
    """Sessions over one writer and many readers (SQLite) or one pool (PostgreSQL).

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``; the asynchronous driver is chosen here.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.dialect = parsed.get_backend_name()
        self._writer: AsyncEngine
        self._reader: AsyncEngine
        if self.dialect == "sqlite":
            self._writer, self._reader = sqlite_engines(parsed)
        else:
            self._writer = self._reader = postgresql_engine(parsed)

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations and tests."""
        return self._writer

    def read(self, tenant: TenantId):
        return self._session(self._reader, tenant)

    def write(self, tenant: TenantId):
        return self._session(self._writer, tenant, writes=True)

    def system_read(self):
        return self._session(self._reader, None)

    def system_write(self):
        return self._session(self._writer, None, writes=True)

    async def ping(self) -> float:
        started = time.perf_counter()
        async with self.system_read() as session:
            await session.execute(text("SELECT 1"))
        return (time.perf_counter() - started) * 1000

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    @asynccontextmanager
    async def _session(
        self, engine: AsyncEngine, tenant: TenantId | None, *, writes: bool = False
    ) -> AsyncGenerator[AsyncSession]:
        info = {} if tenant is None else {TENANT: str(tenant)}
        session = AsyncSession(engine, sync_session_class=TenantSession, expire_on_commit=False, info=info)
        try:
            async with session, session.begin():
                if tenant is not None and self.dialect == "postgresql":
                    # The second net under the session's own predicate: the policies of row-level security.
                    await session.execute(_CONFINE, {"tenant": tenant})
                yield session
                if writes:
                    hit("database.commit.before")
        except (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError) as error:
            raise _unavailable(error) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _unavailable(error) from error
            raise
        if writes:
            hit("database.commit.after")
        run_committed(session)


def _unavailable(error: Exception) -> Unavailable:
    words = str(getattr(error, "orig", None) or error)
    # A quota that is used up and a file that may not grow are told as I/O errors.
    if "disk is full" in words or "No space left" in words or "disk I/O error" in words:
        return DiskFull("The disk of the database takes nothing more.")
    if "locked" in words:
        return Unavailable("The database is busy with another writer.", hint="Try again in a moment.")
    return Unavailable("The database does not answer.", hint="Check AUTOWEAVE_DATABASE_URL and the server; then retry.")
