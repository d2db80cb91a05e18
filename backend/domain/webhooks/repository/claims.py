"""The queue as a worker sees it: what is due, who sends it, and what came of it."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Integer, String, bindparam, case, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.webhooks.models import AttemptRow, DeliveryRow, SubscriptionRow
from backend.foundation.kernel.tables import now_ms, row_count, table_of

_DELIVERY = table_of(DeliveryRow)
_ATTEMPT = table_of(AttemptRow)
_SUBSCRIPTION = table_of(SubscriptionRow)

LEASE_MS = 30_000
"""A delivery that is not recorded so long after it was taken is sent again; sending takes 15 s at most."""


class Due(NamedTuple):
    """When the first delivery of a subscription is due, in milliseconds from now."""

    subscription: str
    in_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery as its sender gets it; ``now_ms`` is the database's clock at the claim."""

    id: str
    tenant: str
    subscription: str
    type: str
    body: str
    attempts: int
    step: int
    epoch: int
    now_ms: int


class Target(NamedTuple):
    """Where a subscription is sent to, with its sealed secrets; ``enabled`` may have changed since the claim."""

    url: str
    secret: str
    old_secret: str
    old_until_ms: int
    enabled: bool


class Failing(NamedTuple):
    """Since when, and how often, a subscription fails."""

    since_ms: int
    failures: int
    now_ms: int
    enabled: bool


def _first_due() -> Any:
    first = (
        select(func.min(_DELIVERY.c.due_ms))
        .where(_DELIVERY.c.subscription == _SUBSCRIPTION.c.id, _DELIVERY.c.status == "WAITING")
        .correlate(_SUBSCRIPTION)
        .scalar_subquery()
    )
    live = select(_SUBSCRIPTION.c.id, first.label("due_ms"))
    found = live.where(_SUBSCRIPTION.c.enabled == true(), _SUBSCRIPTION.c.deleted_ms == 0).subquery()
    return (
        select(found.c.id, found.c.due_ms - now_ms())
        .where(found.c.due_ms.is_not(None))
        .order_by(found.c.due_ms, found.c.id)
    )


_FIRST_DUE = _first_due()


async def first_due(session: AsyncSession) -> list[Due]:
    """Return when each subscription that is turned on has something to send, the earliest first."""
    return [Due(row[0], max(0, int(row[1]))) for row in await session.execute(_FIRST_DUE)]


def _claim() -> Any:
    mine = _DELIVERY.c.subscription == bindparam("webhook", type_=String)
    due = (
        select(_DELIVERY.c.id)
        .where(mine, _DELIVERY.c.status == "WAITING", _DELIVERY.c.due_ms <= now_ms())
        .order_by(_DELIVERY.c.due_ms, _DELIVERY.c.id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        # As a plain subquery it may be planned as a join that takes more than its limit.
        .cte("due")
    )
    return (
        update(_DELIVERY)
        .where(_DELIVERY.c.id.in_(select(due.c.id)), _DELIVERY.c.status == "WAITING", _DELIVERY.c.due_ms <= now_ms())
        .values(
            owner=bindparam("by", type_=String),
            epoch=_DELIVERY.c.epoch + 1,
            due_ms=now_ms() + LEASE_MS,
        )
        .returning(*(_DELIVERY.c[name] for name in Claimed.__slots__ if name != "now_ms"), now_ms().label("now_ms"))
    )


_CLAIM = _claim()


async def claim(session: AsyncSession, webhook: str, owner: str, limit: int) -> list[Claimed]:
    """Take up to ``limit`` due deliveries of a subscription."""
    rows = await session.execute(_CLAIM, {"webhook": webhook, "by": owner, "most": limit})
    return [Claimed(**row) for row in rows.mappings()]


async def give_back(session: AsyncSession, owner: str) -> int:
    """Make the deliveries that an owner took due at once: its process is dead, or about to end."""
    statement = update(_DELIVERY).where(_DELIVERY.c.status == "WAITING", _DELIVERY.c.owner == owner)
    return row_count(await session.execute(statement.values(owner="", due_ms=now_ms())))


async def target(session: AsyncSession, webhook: str) -> Target | None:
    """Return where a subscription is sent to, ``None`` when it was deleted."""
    shown = [_SUBSCRIPTION.c[name] for name in Target._fields]
    statement = select(*shown).where(_SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.deleted_ms == 0)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Target(*row)


async def end_attempt(session: AsyncSession, claimed: Claimed, values: dict[str, Any], attempt: dict[str, Any]) -> bool:
    """Record an attempt; return False, and record nothing, when the delivery is somebody else's by now.

    ``values["due_ms"]`` is how many milliseconds to wait.
    """
    wait = values.pop("due_ms", 0)
    statement = update(_DELIVERY).where(
        _DELIVERY.c.id == claimed.id, _DELIVERY.c.epoch == claimed.epoch, _DELIVERY.c.status == "WAITING"
    )
    ended = 0 if values["status"] == "WAITING" else now_ms()
    changed = statement.values(
        **values, owner="", attempts=claimed.attempts + 1, due_ms=now_ms() + wait, ended_ms=ended
    )
    if row_count(await session.execute(changed)) != 1:
        return False
    row = {"tenant": claimed.tenant, "delivery": claimed.id, "number": claimed.attempts + 1} | attempt
    await session.execute(insert(_ATTEMPT).values(**row, at_ms=now_ms() - attempt["duration_ms"]))
    return True


async def put_down(session: AsyncSession, claimed: Claimed) -> None:
    """Give one delivery back that was not sent; it waits until its subscription is turned on."""
    statement = update(_DELIVERY).where(_DELIVERY.c.id == claimed.id, _DELIVERY.c.epoch == claimed.epoch)
    await session.execute(statement.values(owner="", due_ms=now_ms()))


async def succeeded(session: AsyncSession, webhook: str) -> None:
    """Note that a receiver took something."""
    values: dict[str, Any] = {"succeeded_ms": now_ms(), "failing_since_ms": 0, "failures": 0, "error": ""}
    await session.execute(update(_SUBSCRIPTION).where(_SUBSCRIPTION.c.id == webhook).values(**values))


async def failed(session: AsyncSession, webhook: str, error: str) -> Failing | None:
    """Note that a receiver did not take something; return since when that is so."""
    since = _SUBSCRIPTION.c.failing_since_ms
    statement = (
        update(_SUBSCRIPTION)
        .where(_SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.deleted_ms == 0)
        .values(
            failures=_SUBSCRIPTION.c.failures + 1,
            error=error,
            failing_since_ms=case((since == 0, now_ms()), else_=since),
        )
        .returning(since, _SUBSCRIPTION.c.failures, now_ms(), _SUBSCRIPTION.c.enabled)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Failing(*row)


async def turn_off(session: AsyncSession, webhook: str, reason: str) -> bool:
    """Turn a subscription off by itself; return whether it was on."""
    statement = update(_SUBSCRIPTION).where(_SUBSCRIPTION.c.id == webhook, _SUBSCRIPTION.c.enabled == true())
    return row_count(await session.execute(statement.values(enabled=False, reason=reason))) == 1
