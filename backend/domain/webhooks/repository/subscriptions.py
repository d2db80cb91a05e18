"""Subscriptions: who wants what. Statements name the tenant themselves, since workers serve all of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.webhooks.models import DeliveryRow, SubscriptionRow
from backend.domain.webhooks.views import WebhookView
from backend.foundation.kernel.tables import now_ms, row_count, table_of

_DELIVERY = table_of(DeliveryRow)
_SUBSCRIPTION = table_of(SubscriptionRow)

MOST_WAITING = 10_000
"""So many deliveries of a subscription wait at most; what comes beyond is not queued, but counted."""


class Wanted(NamedTuple):
    """What the consumer knows of a subscription that is turned on; ``full`` says that too many deliveries wait."""

    id: str
    tenant: str
    types: list[str]
    created_ms: int
    full: bool


def _counted(status: str) -> Any:
    """Count the deliveries of a subscription's row, as far as there may be."""
    few = (
        select(_DELIVERY.c.id)
        .where(_DELIVERY.c.subscription == _SUBSCRIPTION.c.id, _DELIVERY.c.status == status)
        .correlate(_SUBSCRIPTION)
        .limit(MOST_WAITING)
        .subquery()
    )
    return select(func.count()).select_from(few).scalar_subquery()


_WANTED = select(
    _SUBSCRIPTION.c.id,
    _SUBSCRIPTION.c.tenant,
    _SUBSCRIPTION.c.types,
    _SUBSCRIPTION.c.created_ms,
    (_counted("WAITING") >= MOST_WAITING).label("full"),
).where(_SUBSCRIPTION.c.enabled == true(), _SUBSCRIPTION.c.deleted_ms == 0)


async def wanted(session: AsyncSession) -> list[Wanted]:
    """Return what is subscribed to, by everybody."""
    return [Wanted(*row) for row in await session.execute(_WANTED)]


async def views(
    session: AsyncSession, tenant: str, webhook: str = "", *, before: str = "", limit: int
) -> list[WebhookView]:
    """Return a tenant's subscriptions, those before one, or just one of them, the newest first."""
    statement = _views(tenant).order_by(_SUBSCRIPTION.c.id.desc()).limit(limit)
    if webhook:
        statement = statement.where(_SUBSCRIPTION.c.id == webhook)
    if before:
        statement = statement.where(_SUBSCRIPTION.c.id < before)
    return [
        WebhookView(
            **{name: row[name] for name in _SHOWN},
            types=tuple(row["types"]),
            waiting=row["waiting"],
            failed=row["failed"],
        )
        for row in (await session.execute(statement)).mappings()
    ]


_SHOWN = (
    "id", "url", "enabled", "reason", "old_until_ms", "created_ms", "succeeded_ms", "failing_since_ms", "failures",
    "error", "dropped",
)  # fmt: skip


def _views(tenant: str) -> Select[Any]:
    shown = [_SUBSCRIPTION.c[name] for name in (*_SHOWN, "types")]
    return select(*shown, _counted("WAITING").label("waiting"), _counted("FAILED").label("failed")).where(
        _SUBSCRIPTION.c.tenant == tenant, _SUBSCRIPTION.c.deleted_ms == 0
    )


async def count(session: AsyncSession, tenant: str) -> int:
    """Return how many subscriptions a tenant has."""
    counted = select(func.count()).where(_SUBSCRIPTION.c.tenant == tenant, _SUBSCRIPTION.c.deleted_ms == 0)
    return (await session.execute(counted)).scalar_one()


async def add(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Insert a subscription; return whether there was none of its request."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(_SUBSCRIPTION).values(**_NEW, **row, created_ms=now_ms())
    return row_count(await session.execute(statement.on_conflict_do_nothing(index_elements=["tenant", "request"]))) == 1


_NEW: dict[str, Any] = {
    "enabled": True, "reason": "", "old_secret": "", "old_until_ms": 0, "succeeded_ms": 0, "failing_since_ms": 0,
    "failures": 0, "error": "", "dropped": 0, "deleted_ms": 0,
}  # fmt: skip


async def made_by(session: AsyncSession, tenant: str, requests: Sequence[str | None]) -> SubscriptionRow | None:
    """Return the subscription that one of these requests made."""
    statement = select(SubscriptionRow).where(
        col(SubscriptionRow.tenant) == tenant, col(SubscriptionRow.request).in_(requests)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def found(session: AsyncSession, tenant: str, webhook: str) -> SubscriptionRow | None:
    """Return a subscription for a change: nobody else changes it meanwhile."""
    statement = select(SubscriptionRow).where(
        col(SubscriptionRow.tenant) == tenant,
        col(SubscriptionRow.id) == webhook,
        col(SubscriptionRow.deleted_ms) == 0,
    )
    return (await session.execute(statement.with_for_update())).scalar_one_or_none()


async def change(session: AsyncSession, tenant: str, webhook: str, values: dict[str, Any]) -> bool:
    """Change a subscription; return whether there is one."""
    statement = update(_SUBSCRIPTION).where(
        _SUBSCRIPTION.c.tenant == tenant, _SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.deleted_ms == 0
    )
    return row_count(await session.execute(statement.values(**values))) == 1


async def drop(session: AsyncSession, webhooks: Sequence[str]) -> None:
    """Count an event that was not queued for these subscriptions."""
    statement = update(_SUBSCRIPTION).where(_SUBSCRIPTION.c.id.in_(webhooks))
    await session.execute(statement.values(dropped=_SUBSCRIPTION.c.dropped + 1))
