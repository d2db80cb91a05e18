"""What the kernel needs from the outside: a database."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from backend.foundation.kernel.ids import TenantId


class Database(Protocol):
    """One unit of work a context: committed on a clean exit, rolled back on any exception.

    A session of `read` or `write` sees and touches only rows of its tenant: every ORM-level select, update and
    delete gets the predicate added, and a flush of another tenant's row raises. On SQLite `write` holds the one writer
    (``BEGIN IMMEDIATE``), so keep it short; nothing outside the database is awaited inside.
    """

    dialect: str
    """``sqlite`` or ``postgresql``."""

    def read(self, tenant: TenantId) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a snapshot for reading one tenant's rows."""
        ...

    def write(self, tenant: TenantId) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that changes one tenant's rows."""
        ...

    def system_read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a snapshot over all tenants: only for the parts that serve all of them (relay, engine, sign-in)."""
        ...

    def system_write(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction over all tenants: same importers as `system_read`."""
        ...

    async def ping(self) -> float:
        """Return the milliseconds that a trivial query takes; raise `Unavailable` when it fails."""
        ...

    async def close(self) -> None:
        """Give all connections back."""
        ...
