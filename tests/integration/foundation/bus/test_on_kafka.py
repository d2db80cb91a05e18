"""The same room on Apache Kafka: what the adapters have in common is enough for it."""

import asyncio

import pytest

from backend.adapters.database.database import SqlDatabase
from backend.foundation.bus import rules
from backend.foundation.bus.service import BusService
from tests.fixtures.kafka import BusFactory
from tests.fixtures.waiting import until
from tests.integration.foundation.bus.conftest import ServiceFactory
from tests.integration.foundation.bus.events import START, Seen, publish, start_run

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.01, longest_s=0.01))


async def test_events_are_handled_once_in_order_while_members_come_and_go(
    services: ServiceFactory, kafka_bus: BusFactory, database: SqlDatabase
) -> None:
    """BUS-1 BUS-3 BUS-5."""
    first: BusService = await services(broker=await kafka_bus())
    second: BusService = await services(broker=await kafka_bus())
    seen = Seen()
    seen.failures = {50: 2}
    await first.subscribe("starter", {START: seen})
    relay = asyncio.create_task(first.run_relay())
    for number in range(100):
        await publish(first, database, start_run(number, key=f"k{number % 7}"))
    await until(lambda: seen.count >= 30, 30)
    await second.subscribe("starter", {START: seen})
    for number in range(100, 200):
        await publish(first, database, start_run(number, key=f"k{number % 7}"))
    await until(lambda: seen.count >= 150, 30)
    relay.cancel()
    await asyncio.wait([relay])
    await first.close()
    relay = asyncio.create_task(second.run_relay())
    await until(lambda: seen.count >= 200, 30)
    relay.cancel()
    await asyncio.wait([relay])
    assert seen.inputs == {f"k{key}": list(range(key, 200, 7)) for key in range(7)}
