"""Queries of agents."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.agents.models import AgentRow
from backend.domain.agents.views import AgentView
from backend.foundation.kernel.ids import AgentId
from backend.foundation.kernel.tables import now_ms, row_count, table_of


async def agents(session: AsyncSession) -> list[AgentRow]:
    """Return the agents of the session's tenant by name, without the archived ones."""
    query = select(AgentRow).where(col(AgentRow.archived_ms) == 0)
    return list((await session.execute(query.order_by(col(AgentRow.name), col(AgentRow.id)))).scalars())


_AGENT = table_of(AgentRow)
_LONGEST_NAME = 80
# Each run asks for its agent: built once, and read as a plain row.
_ONE = select(*_AGENT.c).where(
    _AGENT.c.tenant == bindparam("of_tenant"),
    or_(_AGENT.c.id == bindparam("id_or_slug"), _AGENT.c.slug == bindparam("id_or_slug")),
)

_LOCKED = _ONE.with_for_update()


async def agent(session: AsyncSession, tenant: str, id_or_slug: str) -> Row[Any] | None:
    """Return one agent of a tenant, with the columns of `AgentRow`."""
    if not _is_name(id_or_slug):
        return None
    return (await session.execute(_ONE, {"of_tenant": tenant, "id_or_slug": id_or_slug})).first()


_NAMED = select(_AGENT.c.id, _AGENT.c.slug, _AGENT.c.name, _AGENT.c.status, _AGENT.c.archived_ms).where(
    _AGENT.c.tenant == bindparam("of_tenant"),
    or_(
        _AGENT.c.id.in_(bindparam("names", expanding=True)),
        _AGENT.c.slug.in_(bindparam("names", expanding=True)),
    ),
)


async def named(session: AsyncSession, tenant: str, names: Collection[str]) -> dict[str, Row[Any]]:
    """Return how those of these agents are that there are, each by the id or slug that it was asked by."""
    asked = sorted(filter(_is_name, names))
    if not asked:
        return {}
    rows: Sequence[Row[Any]] = (await session.execute(_NAMED, {"of_tenant": tenant, "names": asked})).all()
    return {name: row for row in rows for name in (row.slug, row.id) if name in names}


def _is_name(id_or_slug: str) -> bool:
    """Return whether an agent may be called so; PostgreSQL refuses NUL."""
    return len(id_or_slug) <= _LONGEST_NAME and id_or_slug.isprintable()


async def locked(session: AsyncSession, tenant: str, agent: str) -> Row[Any] | None:
    """Return one agent as it is now, which nobody else changes until the session's end."""
    return (await session.execute(_LOCKED, {"of_tenant": tenant, "id_or_slug": agent})).first()


async def insert_agent(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Store an agent unless the tenant has its slug; return whether it is new."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(AgentRow).values(**row, created_ms=now_ms(), updated_ms=now_ms())
    statement = statement.on_conflict_do_nothing(index_elements=["tenant", "slug"])
    return (await session.execute(statement.returning(col(AgentRow.id)))).first() is not None


async def set_status(session: AsyncSession, tenant: str, agent: str, status: str, *, archive: bool = False) -> bool:
    """Give an agent another status; return whether it had another one, and was not archived."""
    change = update(AgentRow).where(
        col(AgentRow.tenant) == tenant, col(AgentRow.id) == agent, col(AgentRow.archived_ms) == 0
    )
    if not archive:
        change = change.where(col(AgentRow.status) != status)
    values: dict[str, Any] = {"status": status, "reason": "", "updated_ms": now_ms()}
    if archive:
        values["archived_ms"] = now_ms()
    return row_count(await session.execute(change.values(values))) > 0


def agent_view(row: AgentRow | Row[Any]) -> AgentView:
    """Return the view of an agent's row."""
    return AgentView(
        id=AgentId(row.id),
        slug=row.slug,
        name=row.name,
        description=row.description,
        status=row.status,
        model=row.model,
        tools=tuple(row.tools),
        prompts=tuple(row.prompts),
        created_ms=row.created_ms,
    )
