"""Queries of cards."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.domain.directory.models import CardRow
from backend.foundation.kernel.tables import insert_text, now_ms, table_of

_CARD = table_of(CardRow)
_ONE = select(*_CARD.c).where(_CARD.c.tenant == bindparam("of_tenant"), _CARD.c.agent == bindparam("of_agent"))
# Two who change an agent at once take turns, so that its sequence grows; SQLite has one writer anyway.
_FOR_CHANGE = _ONE.with_for_update()
_MARK = select(now_ms().label("now_ms"), func.count(_CARD.c.agent), func.coalesce(func.sum(_CARD.c.sequence), 0)).where(
    _CARD.c.tenant == bindparam("of_tenant")
)
_SEQUENCES = select(_CARD.c.agent, _CARD.c.sequence).where(_CARD.c.tenant == bindparam("of_tenant"))
_PUBLIC = select(_CARD.c.card).where(_CARD.c.agent == bindparam("of_agent"), _CARD.c.public)
_ALL_PUBLIC = select(_CARD.c.card).where(_CARD.c.public).limit(2)
_ANY = select(_CARD.c.agent).where(_CARD.c.tenant == bindparam("of_tenant")).limit(1)
_CHANGED = ", ".join(f'"{name}" = excluded."{name}"' for name in _CARD.c.keys() if name not in ("tenant", "agent"))  # noqa: SIM118 - a collection of columns, no mapping
_STORE = insert_text(_CARD, conflict=f"(agent) DO UPDATE SET {_CHANGED}")


async def now(session: AsyncSession) -> int:
    """Return the database's clock."""
    return (await session.execute(select(now_ms()))).scalar_one()


async def card(session: AsyncSession, tenant: str, agent: str, *, for_change: bool = False) -> Row[Any] | None:
    """Return the card of an agent, with the columns of `CardRow`."""
    query = _FOR_CHANGE if for_change else _ONE
    return (await session.execute(query, {"of_tenant": tenant, "of_agent": agent})).first()


def values(row: Row[Any]) -> dict[str, Any]:
    """Return a stored card by column."""
    return {name: getattr(row, name) for name in _CARD.c.keys()}  # noqa: SIM118 - a collection of columns, no mapping


async def store(session: AsyncSession, row: dict[str, Any]) -> None:
    """Put a card in the place of the one before."""
    await session.execute(_STORE, row)


async def mark(session: AsyncSession, tenant: str) -> tuple[int, tuple[int, int]]:
    """Return the database's clock, and what is another once any of a tenant's cards is: sequences only grow."""
    now, cards, total = (await session.execute(_MARK, {"of_tenant": tenant})).one()
    return now, (cards, int(total))


async def sequences(session: AsyncSession, tenant: str) -> dict[str, int]:
    """Return the sequence of each agent's card."""
    rows = await session.execute(_SEQUENCES, {"of_tenant": tenant})
    return {row.agent: row.sequence for row in rows}


async def cards(session: AsyncSession, tenant: str, agents: Collection[str]) -> Sequence[Row[Any]]:
    """Return the cards of some agents."""
    query = select(*_CARD.c).where(_CARD.c.tenant == tenant, _CARD.c.agent.in_(agents))
    return (await session.execute(query)).all()


async def public_cards(session: AsyncSession, agent: str = "") -> list[str]:
    """Return the published card of one agent, or two at most of all, of whatever tenant."""
    rows = await session.execute(*((_PUBLIC, {"of_agent": agent}) if agent else (_ALL_PUBLIC, {})))
    return list(rows.scalars())


async def has_any(session: AsyncSession, tenant: str) -> bool:
    """Return whether a tenant has a card."""
    return (await session.execute(_ANY, {"of_tenant": tenant})).first() is not None


async def delete_withdrawn(session: AsyncSession, tenant: str, *, before_ms: int) -> None:
    """Forget withdrawals so old that no card from before them would be believed."""
    gone = delete(CardRow).where(
        col(CardRow.tenant) == tenant, col(CardRow.card) == "", col(CardRow.sequence) < before_ms
    )
    await session.execute(gone)
