"""Signed-in browsers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.kernel.ids import SessionId, new_id
from backend.foundation.kernel.tables import now_ms
from backend.governance.identity.models import SessionRecord, UserRecord
from backend.governance.identity.rules import IDLE_MS, MINUTE_MS, SESSION_MS


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A living session, whose it is, what he is there, and how long ago it was seen."""

    id: str
    tenant: str
    user: str
    role: str
    unseen_ms: int


def _alive() -> ColumnElement[bool]:
    return and_(
        col(SessionRecord.revoked_ms) == 0,
        col(SessionRecord.expires_ms) > now_ms(),
        col(SessionRecord.seen_ms) > now_ms() - IDLE_MS,
    )


async def add_session(
    session: AsyncSession, user: UserRecord, *, token_hash: str, client: str, address: str
) -> tuple[SessionId, int]:
    """Insert a session of 30 days; return its id and when it ends."""
    identifier = SessionId(new_id("ses"))
    statement = (
        insert(SessionRecord)
        .values(
            id=identifier,
            tenant=user.tenant,
            user=user.id,
            token_hash=token_hash,
            client=client[:200],
            address=address[:64],
            created_ms=now_ms(),
            seen_ms=now_ms(),
            expires_ms=now_ms() + SESSION_MS,
            revoked_ms=0,
        )
        .returning(col(SessionRecord.expires_ms))
    )
    return identifier, (await session.execute(statement)).scalar_one()


async def session_by_hash(session: AsyncSession, token_hash: str) -> FoundSession | None:
    """Return the living session with this hash, of a person who is not disabled."""
    query = (
        select(
            col(SessionRecord.id),
            col(UserRecord.tenant),
            col(UserRecord.id),
            col(UserRecord.role),
            now_ms() - col(SessionRecord.seen_ms),
        )
        .join(
            UserRecord,
            and_(col(UserRecord.id) == SessionRecord.user, col(UserRecord.tenant) == SessionRecord.tenant),
        )
        .where(col(SessionRecord.token_hash) == token_hash, col(UserRecord.disabled_ms) == 0, _alive())
    )
    row = (await session.execute(query)).first()
    return FoundSession(*row) if row else None


async def sessions_of(session: AsyncSession, tenant: str, user: str, limit: int) -> Sequence[SessionRecord]:
    """Return a person's living sessions, the last seen first."""
    query = select(SessionRecord).where(col(SessionRecord.tenant) == tenant, col(SessionRecord.user) == user, _alive())
    return (await session.execute(query.order_by(col(SessionRecord.seen_ms).desc()).limit(limit))).scalars().all()


async def end_session(session: AsyncSession, tenant: str, identifier: str, *, user: str | None) -> bool:
    """Revoke a session (of this person, or of anybody in the tenant when ``None``); return whether it was alive."""
    statement = update(SessionRecord).where(
        col(SessionRecord.tenant) == tenant, col(SessionRecord.id) == identifier, col(SessionRecord.revoked_ms) == 0
    )
    if user is not None:
        statement = statement.where(col(SessionRecord.user) == user)
    ended = await session.execute(statement.values(revoked_ms=now_ms()).returning(col(SessionRecord.id)))
    return ended.first() is not None


async def mark_seen(session: AsyncSession, identifiers: Sequence[str]) -> None:
    """Note that these sessions are in use, at most once a minute each."""
    await session.execute(
        update(SessionRecord)
        .where(col(SessionRecord.id).in_(identifiers), col(SessionRecord.seen_ms) < now_ms() - MINUTE_MS)
        .values(seen_ms=now_ms())
        .execution_options(synchronize_session=False)
    )


async def forget_ended(session: AsyncSession) -> None:
    """Delete the sessions whose end is 30 days ago, and those idle for as long."""
    limit = now_ms() - SESSION_MS
    await session.execute(
        delete(SessionRecord)
        .where((col(SessionRecord.expires_ms) < limit) | (col(SessionRecord.seen_ms) < limit))
        .execution_options(synchronize_session=False)
    )
