"""API keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.kernel.tables import now_ms
from backend.governance.identity.models import ApiKeyRecord, UserRecord
from backend.governance.identity.rules import MINUTE_MS


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A living key; ``user`` is its maker (empty for the command line), ``role`` what the maker is now."""

    tenant: str
    secret_hash: str
    user: str
    scopes: list[str]
    role: str
    unused_ms: int


async def add_key(
    session: AsyncSession,
    *,
    identifier: str,
    tenant: str,
    user: str,
    name: str,
    start: str,
    secret_hash: str,
    scopes: Sequence[str],
    life_ms: int,
) -> ApiKeyRecord:
    """Insert a key that lives for ``life_ms``, for ever when that is 0."""
    statement = (
        insert(ApiKeyRecord)
        .values(
            id=identifier,
            tenant=tenant,
            user=user,
            name=name,
            start=start,
            secret_hash=secret_hash,
            scopes=list(scopes),
            created_ms=now_ms(),
            used_ms=0,
            expires_ms=now_ms() + life_ms if life_ms else 0,
            revoked_ms=0,
        )
        .returning(ApiKeyRecord)
    )
    return (await session.execute(statement)).scalar_one()


async def key_by_id(session: AsyncSession, identifier: str) -> FoundKey | None:
    """Return a key that is alive; a key of a person who is disabled or gone is not."""
    query = (
        select(
            col(ApiKeyRecord.tenant),
            col(ApiKeyRecord.secret_hash),
            col(ApiKeyRecord.user),
            col(ApiKeyRecord.scopes),
            func.coalesce(col(UserRecord.role), ""),
            now_ms() - col(ApiKeyRecord.used_ms),
        )
        .outerjoin(
            UserRecord,
            and_(
                col(UserRecord.id) == ApiKeyRecord.user,
                col(UserRecord.tenant) == ApiKeyRecord.tenant,
                col(UserRecord.disabled_ms) == 0,
            ),
        )
        .where(
            col(ApiKeyRecord.id) == identifier,
            col(ApiKeyRecord.revoked_ms) == 0,
            or_(col(ApiKeyRecord.expires_ms) == 0, col(ApiKeyRecord.expires_ms) > now_ms()),
            or_(col(ApiKeyRecord.user) == "", col(UserRecord.id).is_not(None)),
        )
    )
    row = (await session.execute(query)).first()
    return FoundKey(*row) if row else None


async def keys_of(session: AsyncSession, tenant: str, *, user: str | None, limit: int) -> Sequence[ApiKeyRecord]:
    """Return the keys (of this person, or all of the tenant's when ``None``) that are not revoked, newest first."""
    query = select(ApiKeyRecord).where(col(ApiKeyRecord.tenant) == tenant, col(ApiKeyRecord.revoked_ms) == 0)
    if user is not None:
        query = query.where(col(ApiKeyRecord.user) == user)
    return (await session.execute(query.order_by(col(ApiKeyRecord.id).desc()).limit(limit))).scalars().all()


async def end_key(session: AsyncSession, tenant: str, identifier: str, *, user: str | None) -> bool:
    """Revoke a key (of this person, or of anybody in the tenant when ``None``); return whether it was alive."""
    statement = update(ApiKeyRecord).where(
        col(ApiKeyRecord.tenant) == tenant, col(ApiKeyRecord.id) == identifier, col(ApiKeyRecord.revoked_ms) == 0
    )
    if user is not None:
        statement = statement.where(col(ApiKeyRecord.user) == user)
    ended = await session.execute(statement.values(revoked_ms=now_ms()).returning(col(ApiKeyRecord.id)))
    return ended.first() is not None


async def mark_used(session: AsyncSession, identifiers: Sequence[str]) -> None:
    """Note that these keys are in use, at most once a minute each."""
    await session.execute(
        update(ApiKeyRecord)
        .where(col(ApiKeyRecord.id).in_(identifiers), col(ApiKeyRecord.used_ms) < now_ms() - MINUTE_MS)
        .values(used_ms=now_ms())
        .execution_options(synchronize_session=False)
    )
