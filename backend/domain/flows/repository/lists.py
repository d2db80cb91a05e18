"""Lists of runs, page by page: places are taken from an index, rows are read for one page alone."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, func, literal, literal_column, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.domain.flows.models import HEARD_OF, LISTED, RunRow
from backend.domain.flows.repository.reads import run_view
from backend.domain.flows.rules import Place, RunsWanted
from backend.domain.flows.views import RunsPage
from backend.foundation.kernel.tables import table_of

COUNTED = 10_000
MOST_CHARACTERS = 1_000_000
_RUN = table_of(RunRow)
_AT: ColumnElement[int] = literal_column(HEARD_OF, BigInteger())
_NOTHING = literal("")


async def page(session: AsyncSession, tenant: str, wanted: RunsWanted, after: Place | None) -> RunsPage:
    """Return a page of a tenant's runs."""
    total = await _count(session, tenant, wanted)
    places, more = _cut((await session.execute(_places(tenant, wanted, after))).all(), wanted.most)
    rows = await _rows(session, tenant, [place.run for place in places], wanted)
    # Between the two statements a run may have moved up; it keeps its place.
    runs = tuple(run_view(rows[place.run]) for place in places if place.run in rows)
    return RunsPage(runs=runs, next=str(places[-1]) if more else "", total=total)


def _filtered(query: Select[Any], tenant: str, wanted: RunsWanted) -> Select[Any]:
    query = query.where(_RUN.c.tenant == tenant, _RUN.c.agent == wanted.agent, text(LISTED))
    if wanted.thread:
        # A run without a thread has a lane of its own; the lane is what an index has.
        query = query.where(_RUN.c.lane == wanted.thread, _RUN.c.thread == wanted.thread)
    if wanted.statuses:
        query = query.where(_RUN.c.status.in_(wanted.statuses))
    if wanted.since_ms is not None:
        query = query.where(wanted.since_ms <= _AT)
    return query


def _places(tenant: str, wanted: RunsWanted, after: Place | None) -> Select[Any]:
    query = _filtered(select(_AT.label("at_ms"), _RUN.c.id, _size(wanted).label("size")), tenant, wanted)
    if after is not None:
        query = query.where(tuple_(_AT, _RUN.c.id) < tuple_(literal(after.at_ms, BigInteger()), literal(after.run)))
    return query.order_by(_AT.desc(), _RUN.c.id.desc()).limit(wanted.most + 1)


def _size(wanted: RunsWanted) -> ColumnElement[int]:
    size: ColumnElement[int] = literal(0)
    if wanted.inputs:
        size = size + func.length(_RUN.c.input)
    if wanted.outputs:
        size = size + func.length(_RUN.c.output)
    return size


def _cut(found: Any, most: int) -> tuple[list[Place], bool]:
    """Return the places of a page, and whether there are more: one at least, together not above the limit of texts."""
    places: list[Place] = []
    size = 0
    for row in found[:most]:
        size += row.size
        if places and size > MOST_CHARACTERS:
            break
        places.append(Place(row.at_ms, row.id))
    return places, len(places) < len(found)


async def _rows(session: AsyncSession, tenant: str, runs: list[str], wanted: RunsWanted) -> dict[str, Row[Any]]:
    left_out = {name for name, asked in (("input", wanted.inputs), ("output", wanted.outputs)) if not asked}
    columns = [_NOTHING.label(column.name) if column.name in left_out else column for column in _RUN.c]
    query = select(*columns).where(_RUN.c.tenant == tenant, _RUN.c.id.in_(runs))
    return {row.id: row for row in await session.execute(query)}


async def _count(session: AsyncSession, tenant: str, wanted: RunsWanted) -> int:
    some = _filtered(select(literal(1)), tenant, wanted).limit(COUNTED).subquery()
    return (await session.execute(select(func.count()).select_from(some))).scalar_one()
