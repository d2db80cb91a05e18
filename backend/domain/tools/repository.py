"""Queries of tools and their code."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Text, bindparam, or_, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.tools.errors import DataCorruption
from backend.domain.tools.models import CodeRow, ToolRow
from backend.domain.tools.rules.schema import Schema, stored_schema_fault
from backend.domain.tools.rules.security import Security
from backend.domain.tools.views import ToolSchema
from backend.foundation.kernel.tables import now_ms, table_of

Values = dict[str, Any]


async def tools(session: AsyncSession, tenant: str, ids: Collection[str] | None = None) -> list[ToolRow]:
    """Return a tenant's tools by name, all or those with the ids."""
    query = select(ToolRow).where(col(ToolRow.tenant) == tenant).order_by(col(ToolRow.name), col(ToolRow.id))
    if ids is not None:
        query = query.where(col(ToolRow.id).in_(ids))
    try:
        return list((await session.execute(query)).scalars())
    except msgspec.DecodeError as error:
        raise DataCorruption("The record of an installed tool is no JSON.") from error


_TOOL = table_of(ToolRow)
_OFFERED = select(
    _TOOL.c.id, _TOOL.c.call_name, _TOOL.c.description, type_coerce(_TOOL.c.input_schema, Text).label("parameters")
).where(_TOOL.c.tenant == bindparam("of_tenant"), _TOOL.c.id.in_(bindparam("ids", expanding=True)))


async def offered(session: AsyncSession, tenant: str, ids: Sequence[str]) -> dict[str, ToolSchema]:
    """Return the tools with the ids as models see them; every turn of a model asks, so schemas are decoded once."""
    rows = await session.execute(_OFFERED, {"of_tenant": tenant, "ids": list(ids)})
    return {
        row.id: ToolSchema(
            name=row.call_name, description=row.description, parameters=_stored_schema(row.id, row.parameters)
        )
        for row in rows
    }


@lru_cache(maxsize=1024)
def _stored_schema(tool: str, text: str) -> Schema:
    try:
        schema: Schema = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DataCorruption(f"The record of the tool {tool!r} is no JSON.") from error
    if fault := stored_schema_fault(text.encode()):
        raise DataCorruption(f"A stored schema of the tool {tool!r} is wrong: {fault}.")
    return schema


async def tool(session: AsyncSession, tenant: str, name: str) -> ToolRow | None:
    """Return the tool with the id or the call name."""
    query = select(ToolRow).where(
        col(ToolRow.tenant) == tenant, or_(col(ToolRow.id) == name, col(ToolRow.call_name) == name)
    )
    try:
        return (await session.execute(query)).scalars().first()
    except msgspec.DecodeError as error:
        raise DataCorruption(f"The record of the tool {name!r} is no JSON.") from error


async def code(session: AsyncSession, tenant: str, sha256: str) -> bytes | None:
    """Return a module's bytes as they are stored; who loads them checks them."""
    query = select(col(CodeRow.code)).where(col(CodeRow.tenant) == tenant, col(CodeRow.sha256) == sha256)
    return (await session.execute(query)).scalar_one_or_none()


async def store(session: AsyncSession, values: Values, module: bytes) -> None:
    """Install a tool, or put a new version in the place of the old one."""
    added = _insert(session, CodeRow).values(tenant=values["tenant"], sha256=values["sha256"], code=module)
    await session.execute(added.on_conflict_do_nothing())
    written = _insert(session, ToolRow).values(**values, installed_ms=now_ms())
    changed = {key: value for key, value in values.items() if key not in ("tenant", "id")}
    written = written.on_conflict_do_update(index_elements=["tenant", "id"], set_={**changed, "installed_ms": now_ms()})
    await session.execute(written)


def security_of(row: ToolRow) -> Security:
    """Return the bounds of a stored tool; raise `DataCorruption` for any that no manifest could have asked for."""
    try:
        return msgspec.convert(row.security, Security)
    except msgspec.ValidationError as error:
        raise DataCorruption(f"The stored bounds of the tool {row.id!r} are wrong: {error}.") from error


def schemas_of(row: ToolRow) -> tuple[Schema, Schema]:
    """Return the schemas of a tool's input and output; raise `DataCorruption` for any that no manifest could hold."""
    for schema in (row.input_schema, row.output_schema):
        if fault := stored_schema_fault(msgspec.json.encode(schema)):
            raise DataCorruption(f"A stored schema of the tool {row.id!r} is wrong: {fault}.")
    return row.input_schema, row.output_schema


def _insert(session: AsyncSession, table: type[ToolRow] | type[CodeRow]) -> postgresql.Insert | sqlite.Insert:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
