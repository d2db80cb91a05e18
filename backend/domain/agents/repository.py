"""Queries of agents."""

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.agents.models import AgentRow
from backend.domain.agents.views import AgentView
from backend.foundation.kernel.ids import AgentId
from backend.foundation.kernel.tables import now_ms


async def agents(session: AsyncSession) -> list[AgentRow]:
    """Return the agents of the session's tenant by name."""
    return list((await session.execute(select(AgentRow).order_by(col(AgentRow.name), col(AgentRow.id)))).scalars())


async def agent(session: AsyncSession, tenant: str, id_or_slug: str) -> AgentRow | None:
    """Return one agent of a tenant."""
    found = select(AgentRow).where(
        col(AgentRow.tenant) == tenant, or_(col(AgentRow.id) == id_or_slug, col(AgentRow.slug) == id_or_slug)
    )
    return (await session.execute(found)).scalars().first()


async def insert_agent(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Store an agent unless the tenant has its slug; return whether it is new."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(AgentRow).values(**row, created_ms=now_ms(), updated_ms=now_ms())
    statement = statement.on_conflict_do_nothing(index_elements=["tenant", "slug"])
    return (await session.execute(statement.returning(col(AgentRow.id)))).first() is not None


def agent_view(row: AgentRow) -> AgentView:
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
