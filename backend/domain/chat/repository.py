"""Queries of chat."""

from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.chat.models import MessageRow, ThreadRow
from backend.domain.chat.views import MessageView, ThreadView
from backend.foundation.kernel.ids import MessageId, ThreadId
from backend.foundation.kernel.tables import now_ms


async def threads(session: AsyncSession, owner: str, limit: int) -> list[ThreadView]:
    """Return a person's conversations, the last used first."""
    found = (
        select(ThreadRow)
        .where(col(ThreadRow.owner) == owner, col(ThreadRow.deleted_ms) == 0)
        .order_by(col(ThreadRow.updated_ms).desc(), col(ThreadRow.id).desc())
        .limit(limit)
    )
    return [thread_view(row) for row in (await session.execute(found)).scalars()]


async def thread(session: AsyncSession, owner: str, thread: str, *, deleted: bool = False) -> ThreadRow | None:
    """Return a person's conversation, or, if asked for, one that the person deleted."""
    found = select(ThreadRow).where(col(ThreadRow.id) == thread, col(ThreadRow.owner) == owner)
    found = found.where(col(ThreadRow.deleted_ms) > 0 if deleted else col(ThreadRow.deleted_ms) == 0)
    return (await session.execute(found)).scalar_one_or_none()


async def thread_of(session: AsyncSession, tenant: str, thread: str) -> ThreadRow | None:
    """Return a conversation for the system's own work; works without a tenant's session."""
    found = select(ThreadRow).where(col(ThreadRow.tenant) == tenant, col(ThreadRow.id) == thread)
    return (await session.execute(found)).scalar_one_or_none()


async def messages(
    session: AsyncSession, thread: str, before: str | None, after: str | None, limit: int
) -> list[MessageView]:
    """Return the last messages of a conversation (before one of them), or the first after one, oldest first."""
    found = select(MessageRow).where(col(MessageRow.thread) == thread)
    made, name = col(MessageRow.created_ms), col(MessageRow.id)
    if edge := before or after:
        at = select(made).where(name == edge, col(MessageRow.thread) == thread).scalar_subquery()
        earlier, later = (made < at) | ((made == at) & (name < edge)), (made > at) | ((made == at) & (name > edge))
        found = found.where(earlier if before else later)
    if after:
        rows = (await session.execute(found.order_by(made, name).limit(limit))).scalars().all()
        return [message_view(row) for row in rows]
    rows = (await session.execute(found.order_by(made.desc(), name.desc()).limit(limit))).scalars().all()
    return [message_view(row) for row in reversed(rows)]


async def sent_before(session: AsyncSession, client_id: str) -> MessageRow | None:
    """Return the message that was sent with this client id already."""
    found = select(MessageRow).where(col(MessageRow.role) == "user", col(MessageRow.client_id) == client_id)
    return (await session.execute(found)).scalar_one_or_none()


async def insert_thread(session: AsyncSession, row: dict[str, Any]) -> None:
    """Store a new conversation."""
    await session.execute(insert(ThreadRow).values(**row, created_ms=now_ms(), updated_ms=now_ms(), deleted_ms=0))


async def insert_message(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Store a message unless its (tenant, role, client id) is there, and move its thread up; return whether it is new.

    The time is at least one more than the last message's, so that the order of a conversation never depends on the
    resolution of a clock.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    latest = func.coalesce(func.max(col(MessageRow.created_ms)), 0)
    last = select(latest + 1).where(col(MessageRow.thread) == row["thread"])
    newest = func.max if dialect is sqlite else func.greatest
    statement = dialect.insert(MessageRow).values(**row, created_ms=newest(now_ms(), last.scalar_subquery()))
    statement = statement.on_conflict_do_nothing(index_elements=["tenant", "role", "client_id"])
    if (await session.execute(statement.returning(col(MessageRow.id)))).first() is None:
        return False
    await session.execute(
        update(ThreadRow)
        .where(col(ThreadRow.id) == row["thread"], col(ThreadRow.tenant) == row["tenant"])
        .values(updated_ms=now_ms())
    )
    return True


def thread_view(row: ThreadRow) -> ThreadView:
    """Return the view of a conversation's row."""
    return ThreadView(id=ThreadId(row.id), agent=row.agent, title=row.title, updated_ms=row.updated_ms)


def message_view(row: MessageRow) -> MessageView:
    """Return the view of a message's row."""
    return MessageView(
        id=MessageId(row.id),
        role=row.role,
        text=row.text,
        run=row.run,
        trigger=row.trigger,
        status=row.status,
        error_code=row.error_code,
        error_message=row.error_message,
        error_hint=row.error_hint,
        created_ms=row.created_ms,
    )
