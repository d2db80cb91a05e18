"""BUS-7 BUS-6: another document of the events is told once, to every tenant, with the verdict on it."""

import asyncio
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from backend.adapters.database.database import SqlDatabase
from backend.foundation.bus.repository import OUTBOX
from backend.foundation.bus.rules import plan_of
from backend.foundation.bus.service import BusService, Contract
from backend.foundation.events.codec import Undecodable, decode
from backend.foundation.events.types import SpecChanged
from backend.foundation.kernel.ids import TenantId
from backend.reads.asyncapi import document
from tests.integration.foundation.bus.conftest import ServiceFactory

pytestmark = pytest.mark.integration

TENANTS = [TenantId("ten_a"), TenantId("ten_b")]


async def told(database: SqlDatabase) -> list[tuple[str, SpecChanged]]:
    """Return what was told, by tenant, in order."""
    async with database.system_read() as session:
        rows = (await session.execute(select(OUTBOX).order_by(OUTBOX.c.id))).all()
    events = [decode(row.headers, row.value.encode()) for row in rows if row.topic == "aw.spec"]
    return [(event.tenant, event.data) for event in events if isinstance(event.data, SpecChanged)]


def without_a_field(described: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(described)
    del changed["components"]["schemas"]["StartRun"]["properties"]["input"]
    return changed


async def test_the_first_document_and_the_same_one_again_are_no_change(bus: BusService, database: SqlDatabase) -> None:
    contract = Contract(database, bus)
    assert not await contract.tell(document(), TENANTS)
    assert not await contract.tell(document(), TENANTS)
    assert await told(database) == []


async def test_a_change_is_told_to_every_tenant_with_its_places_and_the_verdict(
    bus: BusService, database: SqlDatabase
) -> None:
    contract = Contract(database, bus)
    await contract.tell(document(), TENANTS)
    assert await contract.tell(without_a_field(document()), TENANTS)
    [(first, data), (second, same)] = await told(database)
    assert ([first, second], same) == (TENANTS, data)
    assert (data.sequence, data.changed, data.added, data.removed) == (2, ("components/schemas/StartRun",), (), ())
    assert not data.compatible
    assert any("input" in line for line in data.breaking)
    # Taken back, which is another change: as after a roll back of the product.
    assert await contract.tell(document(), TENANTS[:1])
    (_, back) = (await told(database))[-1]
    assert (back.sequence, back.previous, back.current) == (3, data.current, data.previous)


async def test_other_settings_of_topics_are_a_change_too(bus: BusService, database: SqlDatabase) -> None:
    contract = Contract(database, bus)
    await contract.tell(document(), TENANTS)
    assert await contract.tell(document(plan=partial(plan_of, retention_ms=7_200_000)), TENANTS[:1])
    [(_, data)] = await told(database)
    assert "channels/aw.chat" in data.changed
    assert (data.compatible, data.breaking) == (True, ())


async def test_of_many_processes_that_see_it_at_once_one_tells(services: ServiceFactory, database: SqlDatabase) -> None:
    contracts = [Contract(database, await services(start=False)) for _ in range(6)]
    assert await asyncio.gather(*(contract.tell(document(), TENANTS) for contract in contracts)) == [False] * 6
    changed = without_a_field(document())
    done = await asyncio.gather(*(contract.tell(changed, TENANTS) for contract in contracts))
    assert sorted(done) == [False] * 5 + [True]
    assert [tenant for tenant, _ in await told(database)] == TENANTS


async def test_a_change_is_told_and_remembered_together_or_not_at_all(bus: BusService, database: SqlDatabase) -> None:
    """Whatever ends the first attempt in the middle, the next one tells."""
    contract = Contract(database, bus)
    await contract.tell(document(), TENANTS)
    changed = without_a_field(document())
    with pytest.raises(Undecodable):
        await contract.tell(changed, [*TENANTS, TenantId("")])
    assert await told(database) == []
    assert await contract.tell(changed, TENANTS)
    assert len(await told(database)) == 2


async def test_a_huge_change_is_told_in_bounds(bus: BusService, database: SqlDatabase) -> None:
    contract = Contract(database, bus)
    await contract.tell(document(), TENANTS)
    changed = deepcopy(document())
    changed["channels"] |= {f"{number:04}" + "x" * 5_000: {"address": "a"} for number in range(2_000)}
    changed["channels"].pop("aw.chat")
    assert await contract.tell(changed, TENANTS[:1])
    [(_, data)] = await told(database)
    assert (len(data.added), max(map(len, data.added)), data.removed) == (100, 300, ("channels/aw.chat",))
    assert len(data.breaking) <= 100


async def test_what_is_another_major_version_of_asyncapi_breaks(bus: BusService, database: SqlDatabase) -> None:
    contract = Contract(database, bus)
    await contract.tell(document(), TENANTS)
    assert await contract.tell({**document(), "asyncapi": "4.0.0"}, TENANTS[:1])
    [(_, data)] = await told(database)
    assert (data.compatible, len(data.breaking)) == (False, 1)
