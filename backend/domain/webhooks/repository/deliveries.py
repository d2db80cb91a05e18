"""Deliveries and their attempts, as pages and verbs see them, and the queue's insert."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.webhooks.models import AttemptRow, DeliveryRow, SubscriptionRow
from backend.domain.webhooks.repository.subscriptions import MOST_WAITING
from backend.domain.webhooks.views import AttemptView, DeliveryView
from backend.foundation.kernel.tables import NOW_MS, insert_text, now_ms, row_count, table_of

_DELIVERY = table_of(DeliveryRow)
_ATTEMPT = table_of(AttemptRow)
_SUBSCRIPTION = table_of(SubscriptionRow)

KEEP_MS = 7 * 24 * 3_600_000
KEEP_ROWS = 20_000
"""Deliveries that have ended are kept for so long, and so many of each subscription."""

_FRESH = {"status": "'WAITING'", "owner": "''"} | dict.fromkeys(
    ("attempts", "step", "epoch", "code", "duration_ms", "ended_ms"), "0"
)
_QUEUE = {
    dialect: insert_text(
        _DELIVERY,
        conflict="(subscription, event) DO NOTHING",
        expressions=_FRESH | {"due_ms": now, "created_ms": now},
    )
    for dialect, now in NOW_MS.items()
}


async def queue(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries that are due at once; one that a subscription has of an event already stays as it is."""
    await session.execute(_QUEUE[session.get_bind().dialect.name], list(rows))


_SHOWN = ("id", "type", "event", "status", "attempts", "code", "duration_ms", "due_ms", "created_ms", "ended_ms")


async def log(
    session: AsyncSession, tenant: str, webhook: str, *, status: str, before: str = "", limit: int
) -> list[DeliveryView]:
    """Return a subscription's deliveries, of one status or any, those before one or all, the newest first."""
    statement = (
        select(*(_DELIVERY.c[name] for name in (*_SHOWN, "owner")))
        .where(_DELIVERY.c.tenant == tenant, _DELIVERY.c.subscription == webhook)
        .order_by(_DELIVERY.c.id.desc())
        .limit(limit)
    )
    if status:
        statement = statement.where(_DELIVERY.c.status == status)
    if before:
        statement = statement.where(_DELIVERY.c.id < before)
    return [_view(row) for row in (await session.execute(statement)).mappings()]


def _view(row: Any) -> DeliveryView:
    return DeliveryView(**{name: row[name] for name in _SHOWN}, sending=bool(row["owner"]))


async def one(session: AsyncSession, tenant: str, delivery: str) -> tuple[DeliveryView, str, str] | None:
    """Return a delivery, its body, and its subscription's id."""
    statement = select(_DELIVERY).where(_DELIVERY.c.tenant == tenant, _DELIVERY.c.id == delivery)
    row = (await session.execute(statement)).mappings().one_or_none()
    return None if row is None else (_view(row), row["body"], row["subscription"])


async def attempts(session: AsyncSession, tenant: str, delivery: str, *, limit: int) -> list[AttemptView]:
    """Return a delivery's attempts, the newest first."""
    statement = (
        select(AttemptRow)
        .where(col(AttemptRow.tenant) == tenant, col(AttemptRow.delivery) == delivery)
        .order_by(col(AttemptRow.number).desc())
        .limit(limit)
    )
    return [
        AttemptView(
            number=row.number,
            at_ms=row.at_ms,
            code=row.code,
            duration_ms=row.duration_ms,
            error=row.error,
            answer=row.answer,
        )
        for row in (await session.execute(statement)).scalars()
    ]


async def again(session: AsyncSession, tenant: str, delivery: str) -> bool:
    """Make a delivery that nobody sends at this moment due, at the beginning of the schedule; return whether it is."""
    statement = update(_DELIVERY).where(
        _DELIVERY.c.tenant == tenant, _DELIVERY.c.id == delivery, _DELIVERY.c.owner == ""
    )
    return row_count(await session.execute(statement.values(**_AGAIN))) == 1


async def all_again(session: AsyncSession, tenant: str, webhook: str) -> int:
    """Make all that a subscription's receiver did not take due again, the oldest first; return how many."""
    failed = (
        select(_DELIVERY.c.id)
        .where(_DELIVERY.c.tenant == tenant, _DELIVERY.c.subscription == webhook, _DELIVERY.c.status == "FAILED")
        .order_by(_DELIVERY.c.id)
        .limit(MOST_WAITING)
    )
    return row_count(await session.execute(update(_DELIVERY).where(_DELIVERY.c.id.in_(failed)).values(**_AGAIN)))


_AGAIN: dict[str, Any] = {"status": "WAITING", "step": 0, "due_ms": now_ms(), "ended_ms": 0}


async def past(session: AsyncSession, webhook: str, *, limit: int) -> list[str]:
    """Return up to ``limit`` deliveries of a subscription that are past their time or number; any of a deleted one."""
    mine = _DELIVERY.c.subscription == webhook
    last_kept = select(_DELIVERY.c.id).where(mine).order_by(_DELIVERY.c.id.desc()).offset(KEEP_ROWS)
    gone = select(_SUBSCRIPTION.c.id).where(_SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.deleted_ms > 0).exists()
    old = (_DELIVERY.c.ended_ms < now_ms() - KEEP_MS) | (_DELIVERY.c.id <= last_kept.limit(1).scalar_subquery())
    found = select(_DELIVERY.c.id).where(mine, or_(gone, (_DELIVERY.c.ended_ms > 0) & old)).limit(limit)
    return list((await session.execute(found)).scalars())


async def remove(session: AsyncSession, ids: Sequence[str]) -> None:
    """Delete deliveries with their attempts."""
    await session.execute(delete(_ATTEMPT).where(_ATTEMPT.c.delivery.in_(ids)))
    await session.execute(delete(_DELIVERY).where(_DELIVERY.c.id.in_(ids)))


async def all_subscriptions(session: AsyncSession) -> list[tuple[str, bool]]:
    """Return the ids of all subscriptions, and whether each was deleted."""
    found = await session.execute(select(_SUBSCRIPTION.c.id, _SUBSCRIPTION.c.deleted_ms))
    return [(row[0], row[1] > 0) for row in found]


async def forget(session: AsyncSession, webhook: str) -> None:
    """Remove a deleted subscription that has no delivery any more."""
    left = select(_DELIVERY.c.id).where(_DELIVERY.c.subscription == webhook).exists()
    await session.execute(
        delete(_SUBSCRIPTION).where(_SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.deleted_ms > 0, ~left)
    )
