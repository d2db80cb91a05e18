"""Queries of the bus: a hot one is one fixed statement whatever the number of rows, so that its plan is kept."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Executable,
    Row,
    RowMapping,
    String,
    bindparam,
    case,
    cast,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from backend.foundation.bus.models import DeadLetterRow, InboxRow, LeaseRow, OutboxRow, SpecRow
from backend.foundation.bus.rules import SLOTS
from backend.foundation.kernel.ids import TenantId
from backend.foundation.kernel.tables import NOW_MS, insert_text, now_ms, row_count, table_of

OUTBOX = table_of(OutboxRow)
_INBOX = table_of(InboxRow)
_LEASE = table_of(LeaseRow)
_DEAD = table_of(DeadLetterRow)
_SPEC = table_of(SpecRow)
_SPEC_KNOWN = select(*_SPEC.c).where(_SPEC.c.name == bindparam("of_name"))
_SPEC_FIRST = insert_text(_SPEC, conflict="DO NOTHING")

LETTER_COLUMNS = (
    _DEAD.c.id,
    _DEAD.c.consumer,
    _DEAD.c.type,
    func.substr(_DEAD.c.cause, 1, 300).label("cause"),
    _DEAD.c.attempts,
    _DEAD.c.created_ms,
    _DEAD.c.status,
)
"""What a list of dead letters shows."""

_OUTBOX_ROWS = "bus_outbox"
_SMALL_CHARACTERS = 16 * 1024
_SMALL_VALUE = case((func.length(OUTBOX.c.value) <= _SMALL_CHARACTERS, OUTBOX.c.value)).label("value")

EventKey = tuple[str, str]
"""A tenant, and an event's source with its id."""


class Lease(NamedTuple):
    """A lease as it was taken: ``abandoned_ms`` is when its last owner's ended without being given back, else 0."""

    epoch: int
    abandoned_ms: int


def insert_outbox_at_commit(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Write outbox rows when the transaction commits: one statement for all that is published in it."""
    session.info.setdefault(_OUTBOX_ROWS, []).extend(rows)


def _insert_outbox(session: Session) -> None:
    rows = session.info.pop(_OUTBOX_ROWS, None)
    if rows:
        session.execute(insert(OUTBOX), rows)


def _forget_outbox(session: Session, _transaction: SessionTransaction) -> None:
    session.info.pop(_OUTBOX_ROWS, None)


event.listen(Session, "before_commit", _insert_outbox)
event.listen(Session, "after_soft_rollback", _forget_outbox)


async def known_spec(session: AsyncSession, name: str) -> Row[Any] | None:
    """Return a document as it was last told, with the columns of `SpecRow`."""
    return (await session.execute(_SPEC_KNOWN, {"of_name": name})).first()


async def remember_spec(session: AsyncSession, *, name: str, sequence: int, digest: str, document: str) -> bool:
    """Write a document over the one of the sequence before; return whether nobody else did it first."""
    values = {"name": name, "sequence": sequence, "digest": digest, "document": document}
    if sequence == 1:
        return row_count(await session.execute(_SPEC_FIRST, values)) == 1
    found = update(_SPEC).where(_SPEC.c.name == name, _SPEC.c.sequence == sequence - 1).values(values)
    return row_count(await session.execute(found)) == 1


async def first_seen(session: AsyncSession, consumer: str, events: Sequence[EventKey]) -> set[EventKey]:
    """Record that a consumer does the events, and return those that it has not done before."""
    statement = _FIRST_SEEN[session.get_bind().dialect.name]
    found = await session.execute(statement, {"consumer": consumer, "items": _json(events)})
    return {(row[0], row[1]) for row in found}


# As text, which is compiled once; an insert with a conflict clause is compiled anew each time. SQLite needs the WHERE:
# without it, it reads ON CONFLICT as a join's ON.
_PAIRS = {
    "sqlite": "json_extract(value, '$[0]'), json_extract(value, '$[1]'), {now} FROM json_each(:items) WHERE true",
    "postgresql": "value ->> 0, value ->> 1, {now} FROM json_array_elements(CAST(:items AS JSON))",
}
_FIRST_SEEN = {
    dialect: text(
        f"INSERT INTO {_INBOX.name} (consumer, tenant, event, seen_ms) "
        f"SELECT CAST(:consumer AS VARCHAR), {pairs.format(now=NOW_MS[dialect])} "
        "ON CONFLICT DO NOTHING RETURNING tenant, event"
    )
    for dialect, pairs in _PAIRS.items()
}


async def is_seen(session: AsyncSession, consumer: str, key: EventKey) -> bool:
    """Return whether a consumer has done the event."""
    statement = select(_INBOX.c.event).where(
        _INBOX.c.consumer == consumer, _INBOX.c.tenant == key[0], _INBOX.c.event == key[1]
    )
    return (await session.execute(statement)).first() is not None


async def seen(session: AsyncSession, consumer: str) -> int:
    """Return how many events a consumer has done."""
    counted = select(func.count()).select_from(_INBOX).where(_INBOX.c.consumer == consumer)
    return (await session.execute(counted)).scalar_one()


async def unsent(
    session: AsyncSession, *, shard: int, shards: int, blocked: Sequence[str], limit: int
) -> Sequence[Row[Any]]:
    """Return outbox rows that wait, by id, without those of blocked keys: ``id, topic, key, headers, value``.

    ``value`` is ``None`` where it is large, so that many rows can be read at once: ask `values_of` for those.
    """
    statement = _unsent(session.get_bind().dialect.name, shard, shards, limit)
    return (await session.execute(statement, {"items": _json(blocked)})).all()


@cache
def _unsent(dialect: str, shard: int, shards: int, limit: int) -> Executable:
    statement = (
        select(OUTBOX.c.id, OUTBOX.c.topic, OUTBOX.c.key, OUTBOX.c.headers, _SMALL_VALUE)
        .where(OUTBOX.c.sent_ms.is_(None), OUTBOX.c.key.not_in(select(_values(dialect))))
        .order_by(OUTBOX.c.id)
        .limit(limit)
    )
    return statement if shards == 1 else statement.where(OUTBOX.c.slot % SLOTS % shards == shard)


async def values_of(session: AsyncSession, ids: Sequence[int]) -> dict[int, str]:
    """Return the values of outbox rows by id, whatever their size; a row that is gone is left out."""
    found = await session.execute(select(OUTBOX.c.id, OUTBOX.c.value).where(OUTBOX.c.id.in_(ids)))
    return {row[0]: row[1] for row in found}


async def mark_sent(session: AsyncSession, lease: str, epoch: int, ids: Sequence[int]) -> bool:
    """Record that the broker has the rows; return False, and change nothing, when another owns the lease."""
    statement = _mark_sent(session.get_bind().dialect.name)
    parameters = {"items": _json(ids), "lease": lease, "of_epoch": epoch}
    return row_count(await session.execute(statement, parameters)) > 0


@cache
def _mark_sent(dialect: str) -> Executable:
    held = select(_LEASE.c.name).where(
        _LEASE.c.name == bindparam("lease"), _LEASE.c.epoch == bindparam("of_epoch"), _LEASE.c.until_ms > now_ms()
    )
    numbers = cast(_values(dialect), BigInteger)
    return update(OUTBOX).where(OUTBOX.c.id.in_(select(numbers)), held.exists()).values(sent_ms=now_ms())


async def send_again(
    session: AsyncSession, *, since_ms: int | None = None, age_ms: int = 0, topics: Sequence[str] = ()
) -> int:
    """Let rows wait again that were sent since a time, or within an age, to any or these topics; return how many."""
    bound = now_ms() - age_ms if since_ms is None else since_ms
    again = update(OUTBOX).where(OUTBOX.c.sent_ms >= bound)
    if topics:
        again = again.where(OUTBOX.c.topic.in_(topics))
    return row_count(await session.execute(again.values(sent_ms=None)))


async def take_lease(session: AsyncSession, name: str, owner: str, ttl_ms: int) -> Lease | None:
    """Take a lease that nobody holds, or that this owner held before it was restarted, under a new epoch.

    Returns ``None`` while another holds it.
    """
    upsert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(_LEASE)
    await session.execute(upsert.values(name=name, owner="", epoch=0, until_ms=0).on_conflict_do_nothing())
    # One that ends later than any was ever given was given before the clock was put back: its term begins again.
    late = update(_LEASE).where(_LEASE.c.name == name, _LEASE.c.until_ms > now_ms() + ttl_ms + 1_000)
    await session.execute(late.values(until_ms=now_ms() + ttl_ms))
    before = (
        await session.execute(select(_LEASE.c.until_ms).where(_LEASE.c.name == name).with_for_update())
    ).scalar_one()
    taken = await session.execute(
        update(_LEASE)
        .where(_LEASE.c.name == name, or_(_LEASE.c.until_ms <= now_ms(), _LEASE.c.owner == owner))
        .values(owner=owner, epoch=_LEASE.c.epoch + 1, until_ms=now_ms() + ttl_ms)
        .returning(_LEASE.c.epoch)
    )
    epoch = taken.scalar_one_or_none()
    return None if epoch is None else Lease(epoch, before)


async def renew_lease(session: AsyncSession, name: str, epoch: int, ttl_ms: int) -> bool:
    """Hold a lease for longer; return False when another has taken it, or it has ended."""
    statement = (
        update(_LEASE)
        .where(_LEASE.c.name == name, _LEASE.c.epoch == epoch, _LEASE.c.until_ms > now_ms())
        .values(until_ms=now_ms() + ttl_ms)
    )
    return row_count(await session.execute(statement)) == 1


async def give_lease(session: AsyncSession, name: str, epoch: int) -> None:
    """Give a lease back, so that another may take it at once."""
    await session.execute(
        update(_LEASE).where(_LEASE.c.name == name, _LEASE.c.epoch == epoch).values(owner="", until_ms=0)
    )


async def delete_sent(session: AsyncSession, *, age_ms: int, keep: int, limit: int) -> int:
    """Delete outbox rows that were sent longer ago than an age, or that are not among the last ``keep``.

    At most ``limit``; returns how many.
    """
    overtaken = select(func.coalesce(func.max(OUTBOX.c.id), 0) - keep).scalar_subquery()
    old = (
        select(OUTBOX.c.id)
        .where(OUTBOX.c.sent_ms.is_not(None), or_(OUTBOX.c.sent_ms < now_ms() - age_ms, OUTBOX.c.id <= overtaken))
        .order_by(OUTBOX.c.sent_ms)
        .limit(limit)
    )
    return row_count(await session.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(old))))


async def delete_seen(session: AsyncSession, *, age_ms: int, limit: int) -> int:
    """Delete inbox rows older than an age, at most about ``limit``; return how many."""
    old = (
        select(_INBOX.c.seen_ms).where(_INBOX.c.seen_ms < now_ms() - age_ms).order_by(_INBOX.c.seen_ms).limit(limit)
    ).subquery()
    newest = select(func.max(old.c.seen_ms)).scalar_subquery()
    return row_count(await session.execute(delete(_INBOX).where(_INBOX.c.seen_ms <= newest)))


async def backlog(session: AsyncSession) -> tuple[int, int]:
    """Return how many outbox rows wait, and for how many milliseconds the oldest has."""
    waiting = select(func.count(), func.coalesce(now_ms() - func.min(OUTBOX.c.created_ms), 0)).where(
        OUTBOX.c.sent_ms.is_(None)
    )
    count, age_ms = (await session.execute(waiting)).one()
    return count, max(0, age_ms)


async def insert_dead(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Write dead letters."""
    await session.execute(insert(_DEAD).values(created_ms=now_ms()), rows)


async def insert_returned(session: AsyncSession, letter: int, row: dict[str, Any]) -> bool:
    """Let a letter that was replayed wait again, as it failed this time; return False when it was no replay of it."""
    again = {name: value for name, value in row.items() if name not in ("tenant", "consumer", "direct")}
    statement = (
        update(_DEAD)
        .where(_DEAD.c.id == letter, _DEAD.c.tenant == row["tenant"], _DEAD.c.consumer == row["consumer"])
        .where(_DEAD.c.status == "REPLAYED")
        .values(**again, status="WAITING", created_ms=now_ms())
    )
    return row_count(await session.execute(statement)) == 1


async def dead_letters(
    session: AsyncSession,
    tenant: TenantId,
    *,
    consumer: str = "",
    type: str = "",
    status: str = "",
    before: int | None = None,
    limit: int,
) -> Sequence[RowMapping]:
    """Return a tenant's dead letters that fit, the newest first, of ids below ``before``: `LETTER_COLUMNS` of each.

    Without what they hold: a hundred letters may hold a hundred megabytes.
    """
    statement = select(*LETTER_COLUMNS).where(_DEAD.c.tenant == tenant).order_by(_DEAD.c.id.desc()).limit(limit)
    for column, wanted in ((_DEAD.c.consumer, consumer), (_DEAD.c.type, type), (_DEAD.c.status, status)):
        if wanted:
            statement = statement.where(column == wanted)
    if before is not None:
        statement = statement.where(_DEAD.c.id < before)
    return (await session.execute(statement)).mappings().all()


async def dead_letter_counts(session: AsyncSession, tenant: TenantId) -> Sequence[Row[tuple[str, str, str, int]]]:
    """Return how many dead letters a tenant has: consumer, type, status, count."""
    kinds = (_DEAD.c.consumer, _DEAD.c.type, _DEAD.c.status)
    counted = select(*kinds, func.count()).where(_DEAD.c.tenant == tenant).group_by(*kinds).order_by(*kinds)
    return (await session.execute(counted)).tuples().all()  # pyright: ignore[reportReturnType] - rows of these


async def waiting_letters(
    session: AsyncSession, tenant: TenantId, *, consumer: str, type: str, after: int, until: int, limit: int
) -> Sequence[int]:
    """Return the ids of a tenant's letters that wait and fit, the oldest first, above ``after`` up to ``until``."""
    statement = (
        select(_DEAD.c.id)
        .where(_DEAD.c.tenant == tenant, _DEAD.c.status == "WAITING", _DEAD.c.id > after, _DEAD.c.id <= until)
        .order_by(_DEAD.c.id)
        .limit(limit)
    )
    for column, wanted in ((_DEAD.c.consumer, consumer), (_DEAD.c.type, type)):
        if wanted:
            statement = statement.where(column == wanted)
    return (await session.scalars(statement)).all()


async def decide_letter(
    session: AsyncSession, tenant: TenantId, letter: int, *, status: str, by: str, reason: str, replays: int
) -> bool:
    """Record what becomes of a letter that waits; return False when it waits no more."""
    statement = (
        update(_DEAD)
        .where(_DEAD.c.id == letter, _DEAD.c.tenant == tenant, _DEAD.c.status == "WAITING")
        .values(status=status, decided_by=by, decided_ms=now_ms(), reason=reason, replays=_DEAD.c.replays + replays)
    )
    return row_count(await session.execute(statement)) == 1


async def forget_seen(session: AsyncSession, consumer: str, key: EventKey) -> None:
    """Let a consumer do an event that it has recorded as done."""
    tenant, event = key
    await session.execute(
        delete(_INBOX).where(_INBOX.c.consumer == consumer, _INBOX.c.tenant == tenant, _INBOX.c.event == event)
    )


def _values(dialect: str) -> ColumnElement[str]:
    """Return the elements of the JSON array in the parameter ``items``, one a row."""
    if dialect == "sqlite":
        return func.json_each(bindparam("items", type_=String)).table_valued("value").c.value
    array = cast(bindparam("items", type_=String), JSON)
    return func.json_array_elements_text(array).table_valued("value").c.value


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
