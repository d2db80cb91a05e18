"""Tenants, people and the setup row."""

from collections.abc import Sequence

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.kernel.ids import TenantId, new_id
from backend.foundation.kernel.tables import now_ms
from backend.governance.identity.models import SetupRecord, TenantRecord, UserRecord
from backend.governance.identity.repository.upserts import upsert
from backend.governance.identity.rules import SETUP_MS, Role

_THE_ROW = 1


async def administrator_exists(session: AsyncSession) -> bool:
    """Return whether anybody could administer this installation."""
    query = select(col(UserRecord.id)).where(col(UserRecord.role) == Role.ADMIN, col(UserRecord.disabled_ms) == 0)
    return (await session.execute(query.limit(1))).first() is not None


async def lock_setup(session: AsyncSession) -> None:
    """Make every other setup, in any process, wait for the end of this transaction."""
    statement = upsert(session, SetupRecord).values(id=_THE_ROW, token_hash="", expires_ms=0)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"id": statement.excluded.id}))


async def store_setup_token(session: AsyncSession, token_hash: str) -> None:
    """Make this the only setup token that is good, for 24 hours; an empty hash makes none good."""
    values = {"token_hash": token_hash, "expires_ms": now_ms() + SETUP_MS if token_hash else 0}
    await session.execute(update(SetupRecord).where(col(SetupRecord.id) == _THE_ROW).values(values))


async def setup_token_is_good(session: AsyncSession, token_hash: str) -> bool:
    """Return whether this is the token of the setup link that counts now."""
    query = select(col(SetupRecord.id)).where(
        col(SetupRecord.token_hash) == token_hash, col(SetupRecord.expires_ms) > now_ms()
    )
    return (await session.execute(query)).first() is not None


async def add_tenant(session: AsyncSession, name: str) -> TenantId:
    """Insert a tenant; its name is unique."""
    tenant = TenantId(new_id("ten"))
    await session.execute(insert(TenantRecord).values(id=tenant, name=name, created_ms=now_ms()))
    return tenant


async def all_tenants(session: AsyncSession) -> Sequence[tuple[str, str]]:
    """Return (id, name) of every tenant, the oldest first."""
    query = select(col(TenantRecord.id), col(TenantRecord.name)).order_by(col(TenantRecord.id))
    return [(identifier, name) for identifier, name in (await session.execute(query)).all()]


async def tenant_name(session: AsyncSession, tenant: str) -> str:
    """Return a tenant's name, empty when there is none."""
    query = select(col(TenantRecord.name)).where(col(TenantRecord.id) == tenant)
    return (await session.execute(query)).scalar() or ""


async def name_taken(session: AsyncSession, name: str) -> bool:
    """Return whether a tenant has the name, whatever its case."""
    query = select(col(TenantRecord.id)).where(func.lower(col(TenantRecord.name)) == name.lower())
    return (await session.execute(query.limit(1))).first() is not None


async def add_user(
    session: AsyncSession, tenant: TenantId, *, email: str, name: str, role: Role, password_hash: str
) -> UserRecord:
    """Insert a person; the e-mail is unique over all tenants."""
    statement = (
        insert(UserRecord)
        .values(
            id=new_id("usr"),
            tenant=tenant,
            email=email,
            name=name,
            role=role.value,
            password_hash=password_hash,
            created_ms=now_ms(),
            disabled_ms=0,
        )
        .returning(UserRecord)
    )
    return (await session.execute(statement)).scalar_one()


async def user_by_email(session: AsyncSession, email: str) -> UserRecord | None:
    """Return the person with this normalised e-mail, of any tenant."""
    query = select(UserRecord).where(col(UserRecord.email) == email, col(UserRecord.disabled_ms) == 0)
    return (await session.execute(query)).scalar()


async def user_by_id(session: AsyncSession, tenant: str, user: str) -> UserRecord | None:
    """Return a person of the tenant."""
    query = select(UserRecord).where(col(UserRecord.tenant) == tenant, col(UserRecord.id) == user)
    return (await session.execute(query)).scalar()


async def people(session: AsyncSession, tenant: str, limit: int) -> Sequence[UserRecord]:
    """Return the tenant's people by e-mail."""
    query = select(UserRecord).where(col(UserRecord.tenant) == tenant, col(UserRecord.disabled_ms) == 0)
    return (await session.execute(query.order_by(col(UserRecord.email)).limit(limit))).scalars().all()


async def replace_hash(session: AsyncSession, user: str, password_hash: str) -> None:
    """Store a password's new hash."""
    await session.execute(update(UserRecord).where(col(UserRecord.id) == user).values(password_hash=password_hash))
