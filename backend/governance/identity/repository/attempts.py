"""Sign-ins tried, counted in rows so that the limit holds over replicas and restarts."""

from sqlalchemy import BigInteger, cast, delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.foundation.kernel.tables import now_ms
from backend.governance.identity.models import AttemptRecord
from backend.governance.identity.repository.upserts import upsert
from backend.governance.identity.rules import ATTEMPT_WINDOW_MS


async def lock_attempts(session: AsyncSession, subject: str) -> tuple[list[int], int]:
    """Lock a subject's row until the end of the transaction; return the times tried and the database's time."""
    statement = upsert(session, AttemptRecord).values(subject=subject, times=[], last_ms=now_ms())
    locked = await session.execute(
        statement.on_conflict_do_update(index_elements=["subject"], set_={"last_ms": now_ms()}).returning(
            col(AttemptRecord.times), cast(now_ms(), BigInteger)
        )
    )
    times, now = locked.one()
    return times, now


async def store_attempts(session: AsyncSession, subject: str, times: list[int]) -> None:
    """Store a locked subject's times."""
    await session.execute(update(AttemptRecord).where(col(AttemptRecord.subject) == subject).values(times=times))


async def forget_old(session: AsyncSession) -> None:
    """Delete the subjects whose last attempt is outside the window."""
    limit = now_ms() - ATTEMPT_WINDOW_MS
    await session.execute(
        delete(AttemptRecord).where(col(AttemptRecord.last_ms) < limit).execution_options(synchronize_session=False)
    )
