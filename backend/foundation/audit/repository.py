"""Queries of the audit log."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.audit.models import AuditEntry


async def newest(
    session: AsyncSession, tenant: str, *, actor: str, action: str, target: str, before: str, limit: int
) -> Sequence[AuditEntry]:
    """Return the tenant's entries that match, newest first; ids sort by time."""
    query = select(AuditEntry).where(col(AuditEntry.tenant) == tenant)
    if actor:
        query = query.where(col(AuditEntry.actor) == actor)
    if action:
        column = col(AuditEntry.action)
        query = query.where(column.startswith(action, autoescape=True) if action.endswith(".") else column == action)
    if target:
        query = query.where(col(AuditEntry.target) == target)
    if before:
        query = query.where(col(AuditEntry.id) < before)
    result = await session.execute(query.order_by(col(AuditEntry.id).desc()).limit(limit))
    return result.scalars().all()
