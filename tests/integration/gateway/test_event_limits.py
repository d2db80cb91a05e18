"""BUS-9, API-2: how many events a caller and a workspace may send by HTTP, whichever web process they meet."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from backend.adapters.valkey.buckets import ValkeyBuckets
from backend.app import use
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Forbidden
from backend.foundation.kernel.ids import TenantId
from backend.governance.budgets.errors import BatchAboveBurst
from backend.governance.budgets.service import Budgets, EventRates
from tests.fixtures.door import Installation
from tests.fixtures.valkey import PrivateValkey

pytestmark = pytest.mark.integration

TOPIC = "/events/aw.agents"
ONE = {"content-type": "application/cloudevents+json"}
MANY = {"content-type": "application/cloudevents-batch+json"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "order-1",
    "source": "/shop",
    "type": "agents.start_run.v1",
    "data": {"agent": "concierge", "input": "Hello"},
}
TIGHT = EventRates(per_second=1, burst=100, tenant_per_second=1, tenant_burst=150)
"""In the seconds of a test next to nothing flows in."""


def limited(house: Installation, buckets: ValkeyBuckets, rates: EventRates) -> None:
    """Put other limits before the door."""
    house.backend = replace(house.backend, budgets=Budgets(buckets, rates))
    use(house.backend)


async def send(client: httpx.AsyncClient, count: int = 1) -> httpx.Response:
    """Send so many events at once, each with an id of its own."""
    if count == 1:
        return await client.post(TOPIC, content=msgspec.json.encode(EVENT), headers=ONE)
    batch = [EVENT | {"id": f"order-{number}"} for number in range(count)]
    return await client.post(TOPIC, content=msgspec.json.encode(batch), headers=MANY)


async def test_a_batch_costs_as_many_as_it_has_and_what_is_left_is_told(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    limited(sqlite_installation, rate_buckets, TIGHT)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        one, many = await send(client), await send(client, 59)
        over, rest = await send(client, 60), await send(client, 30)
    assert [answer.status_code for answer in (one, many, over, rest)] == [202, 202, 429, 202]
    assert one.headers["ratelimit-policy"] == '"caller";q=100;w=100, "tenant";q=150;w=150'
    assert one.headers["ratelimit"] == '"caller";r=99;t=1, "tenant";r=149;t=1'
    assert re.fullmatch(r'"caller";r=4[01];t=60, "tenant";r=9[01];t=60', many.headers["ratelimit"])


async def test_who_sends_too_much_is_told_how_long_to_wait_and_what_to_do(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    limited(sqlite_installation, rate_buckets, TIGHT)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        assert (await send(client, 100)).status_code == 202
        answer = await send(client, 50)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (429, "events_limited")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) in range(1, 52)
    assert re.fullmatch(r'"caller";r=\d;t=\d+, "tenant";r=5\d;t=\d+', answer.headers["ratelimit"])
    assert answer.headers["ratelimit-policy"].startswith('"caller";q=100;w=100')
    assert problem["detail"] == "This caller sends more than 1 events a second."
    assert "AUTOWEAVE_EVENTS_PER_SECOND" in problem["hint"]


async def test_more_keys_are_no_way_around_what_a_workspace_may_send(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    limited(sqlite_installation, rate_buckets, TIGHT)
    made = await sqlite_installation.backend.identity.create_api_key(
        sqlite_installation.ada, name="second", scopes=["events:publish"], expires_days=1
    )
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        assert (await send(client, 100)).status_code == 202
    async with sqlite_installation.client(made.secret) as client:
        answer = await send(client, 80)
        assert (answer.status_code, answer.json()["code"]) == (429, "events_limited")
        assert "This workspace" in answer.json()["detail"]
        assert "AUTOWEAVE_TENANT_EVENTS_PER_SECOND" in answer.json()["hint"]
        assert (await send(client, 40)).status_code == 202
    async with sqlite_installation.client(sqlite_installation.bob_key) as client:
        assert (await send(client, 100)).status_code == 202


async def test_two_web_processes_count_in_the_same_buckets(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets, valkey_url: str, valkey_namespace: str
) -> None:
    other = ValkeyBuckets(valkey_url, namespace=valkey_namespace)
    here, there = Budgets(rate_buckets, TIGHT), Budgets(other, TIGHT)
    try:
        asked = [one.admit_events(sqlite_installation.ada) for _ in range(100) for one in (here, there)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await there.close()
    assert 100 <= sum(isinstance(answer, tuple) for answer in answers) <= 102


async def test_who_is_over_the_limit_is_refused_before_his_body_is_read(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    limited(sqlite_installation, rate_buckets, TIGHT)
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x" * 1_000

    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        assert (await send(client, 100)).status_code == 202
        answer = await client.post(TOPIC, content=body(), headers=ONE)
    assert answer.status_code == 429
    assert read == []


async def test_a_batch_that_can_never_pass_is_too_large_instead_of_too_early(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    limited(sqlite_installation, rate_buckets, TIGHT)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await send(client, 101)
    assert (answer.status_code, answer.json()["code"]) == (413, "batch_above_burst")
    with pytest.raises(BatchAboveBurst):
        await sqlite_installation.backend.budgets.admit_events(sqlite_installation.ada, 0, batch=101)


async def test_what_is_refused_for_another_reason_counts_too(
    sqlite_installation: Installation, rate_buckets: ValkeyBuckets
) -> None:
    """Whoever floods the door with nonsense is stopped as well."""
    limited(sqlite_installation, rate_buckets, EventRates(per_second=1, burst=3, tenant_per_second=0, tenant_burst=1))
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answers = [await client.post(TOPIC, content=b"nonsense", headers=ONE) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]


async def test_without_a_limit_nothing_is_counted_or_told(sqlite_installation: Installation) -> None:
    """Not even Valkey is asked."""
    nowhere = ValkeyBuckets("unix:///nowhere/valkey.sock")
    rates = EventRates(per_second=0, burst=1, tenant_per_second=0, tenant_burst=1)
    limited(sqlite_installation, nowhere, rates)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await send(client, 500)
    assert answer.status_code == 202
    assert "ratelimit" not in answer.headers


async def test_while_valkey_is_away_the_door_says_so_as_the_rest_does(
    sqlite_installation: Installation, private_valkey: PrivateValkey
) -> None:
    """REL: nothing passes uncounted; /ready says the same, so that a balancer asks another process."""
    buckets = ValkeyBuckets(private_valkey.url)
    limited(sqlite_installation, buckets, TIGHT)
    try:
        async with sqlite_installation.client(sqlite_installation.ada_key) as client:
            assert (await send(client)).status_code == 202
            private_valkey.kill()
            answer = await send(client)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert "Valkey" in answer.json()["detail"]
            private_valkey.start()
            assert (await send(client)).status_code == 202
    finally:
        await buckets.close()


async def test_only_who_may_publish_is_counted(sqlite_installation: Installation) -> None:
    """IDN-2."""
    reader = Caller(
        tenant=TenantId("tnt_1"), subject="key_1", permissions=frozenset(Permission) - {Permission.EVENTS_PUBLISH}
    )
    with pytest.raises(Forbidden):
        await sqlite_installation.backend.budgets.admit_events(reader)
