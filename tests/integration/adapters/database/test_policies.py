"""IDN-2: on PostgreSQL a transaction with a tenant touches that tenant's rows alone, whatever a statement forgot."""

from sqlalchemy import text
from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.bootstrap import tables
from backend.foundation.kernel.ids import TenantId

assert tables


async def test_every_table_with_a_tenant_is_confined(postgresql_url: str) -> None:
    database = SqlDatabase(postgresql_url)
    async with database.system_read() as session:
        found = await session.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity ORDER BY relname")
        )
        confined = {row.relname for row in found}
        policies = {row.tablename for row in await session.execute(text("SELECT tablename FROM pg_policies"))}
    await database.close()
    owned = {name for name, table in SQLModel.metadata.tables.items() if "tenant" in table.columns}
    assert owned <= confined == policies


async def test_a_statement_without_a_predicate_sees_no_other_tenant(postgresql_url: str) -> None:
    database = SqlDatabase(postgresql_url)
    async with database.system_write() as session:
        for tenant in ("ten_a", "ten_b"):
            values = {"tenant": tenant, "sha256": tenant, "code": b"x"}
            await session.execute(text("INSERT INTO tools_code VALUES (:tenant, :sha256, :code)"), values)
    async with database.read(TenantId("ten_a")) as session:
        assert (await session.execute(text("SELECT tenant FROM tools_code"))).scalars().all() == ["ten_a"]
    await database.close()
