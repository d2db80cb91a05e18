"""What all tables share: the tenant column, JSON text and the database's own clock."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from sqlalchemy import (
    BigInteger,
    CursorResult,
    Dialect,
    Result,
    String,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    bindparam,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Field, SQLModel


class TenantRow(SQLModel):
    """A row that belongs to one tenant; sessions add the predicate ``tenant = <caller's>`` by this class.

    The column has no index of its own: each table has the indexes that its queries need, with the tenant first where
    nothing more selective comes before it.
    """

    tenant: str = Field(sa_type=String(40), nullable=False)


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table behind a model, for hot paths: such statements get no tenant predicate added."""
    return cast("Any", model).__table__


def row_count(result: Result[Any]) -> int:
    """Return how many rows an update or delete touched."""
    return cast("CursorResult[Any]", result).rowcount


class Json(TypeDecorator[Any]):
    """Any JSON value as text, by msgspec; ``None`` is SQL NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)


class now_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Milliseconds since 1970 by the database's clock, the only clock that leases and timers know.

    It is the time of the statement, not of the transaction's start.
    """

    name = "now_ms"
    type = BigInteger()
    # A plain ColumnElement has no cache key: each statement with it would be compiled anew.
    inherit_cache = True


async def database_ms(session: AsyncSession) -> int:
    """Return the database's clock."""
    return int((await session.execute(select(now_ms()))).scalar_one())


NOW_MS = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
}
"""`now_ms` as SQL, by dialect, for statements that are text."""


@compiles(now_ms, "sqlite")
@compiles(now_ms, "postgresql")
def _now(_element: now_ms, compiler: SQLCompiler, **_: Any) -> str:
    return NOW_MS[compiler.dialect.name]


def insert_text(table: Table, *, conflict: str, expressions: Mapping[str, str] | None = None) -> TextClause:
    """Return an ``INSERT … ON CONFLICT`` with a parameter for each column, as text.

    SQLAlchemy compiles an insert with a conflict clause anew each time; text it compiles once.

    Args:
        conflict: what follows ``ON CONFLICT``, with ``RETURNING`` if it is wanted.
        expressions: SQL for columns that are no parameter; an empty one leaves the column out.
    """
    given = expressions or {}
    values = {column.name: given.get(column.name, f":{column.name}") for column in table.columns}
    kept = {name: value for name, value in values.items() if value}
    names = ", ".join(f'"{name}"' for name in kept)
    statement = text(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(kept.values())}) ON CONFLICT {conflict}")  # noqa: S608 - names of our own tables
    parameters = [column for column in table.columns if column.name not in given]
    return statement.bindparams(*(bindparam(column.name, type_=column.type) for column in parameters))
