"""BUS-9: token buckets that all processes share, on a real Valkey."""

import asyncio

import pytest

from backend.adapters.valkey.buckets import ValkeyBuckets
from backend.adapters.valkey.server import Server
from backend.foundation.kernel.errors import Unavailable
from backend.governance.budgets.ports import Bucket
from tests.fixtures.valkey import PrivateValkey
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration

SLOW = Bucket(key="slow", per_second=1, burst=1_000)
"""In the seconds of a test next to nothing flows in."""


async def test_a_full_bucket_gives_its_burst_and_then_says_how_long_to_wait(rate_buckets: ValkeyBuckets) -> None:
    (first,) = await rate_buckets.take(1_000, [SLOW])
    assert (first.left, first.wait_s) == (0, 0)
    assert first.full_s == pytest.approx(1_000, abs=1)
    (second,) = await rate_buckets.take(50, [SLOW])
    assert second.wait_s == pytest.approx(50, abs=20)
    assert second.left < 20


async def test_what_was_taken_flows_in_again_and_never_beyond_the_burst(rate_buckets: ValkeyBuckets) -> None:
    quick = Bucket(key="quick", per_second=50, burst=5)
    assert (await rate_buckets.take(5, [quick]))[0].wait_s == 0
    (refused,) = await rate_buckets.take(5, [quick])
    assert 0 < refused.wait_s <= 0.1

    async def again() -> bool:
        return (await rate_buckets.take(5, [quick]))[0].wait_s == 0

    await until(again)
    # However long it rests.
    assert (await rate_buckets.take(6, [quick]))[0].wait_s > 0


async def test_all_of_several_buckets_are_taken_from_or_none(rate_buckets: ValkeyBuckets) -> None:
    small = Bucket(key="small", per_second=1, burst=10)
    wide, narrow = await rate_buckets.take(11, [SLOW, small])
    assert (wide.wait_s, wide.left) == (0, 1_000)
    assert narrow.wait_s == pytest.approx(1, abs=0.1)
    assert [level.left for level in await rate_buckets.take(10, [SLOW, small])] == [990, 0]


async def test_two_processes_at_once_take_no_more_than_there_is(
    rate_buckets: ValkeyBuckets, valkey_url: str, valkey_namespace: str
) -> None:
    other = ValkeyBuckets(valkey_url, namespace=valkey_namespace)
    try:
        asked = [one.take(10, [SLOW]) for _ in range(100) for one in (rate_buckets, other)]
        taken = [level.wait_s == 0 for (level,) in await asyncio.gather(*asked)]
    finally:
        await other.close()
    # As many seconds as that took flow in meanwhile.
    assert 100 <= sum(taken) <= 102


async def test_nothing_is_kept_of_a_bucket_that_is_full_again(
    rate_buckets: ValkeyBuckets, valkey_url: str, valkey_namespace: str
) -> None:
    server = Server(valkey_url, namespace=f"{valkey_namespace}:rate")
    try:
        await rate_buckets.take(1, [Bucket(key="brief", per_second=20, burst=5)])

        async def gone() -> bool:
            return await server.call("EXISTS", server.key("brief")) == 0

        await until(gone)
    finally:
        await server.close()


async def test_a_clock_that_was_put_back_locks_nobody_out(
    rate_buckets: ValkeyBuckets, valkey_url: str, valkey_namespace: str
) -> None:
    """REL: what was written by a clock that ran a year ahead means an empty bucket, not a year of waiting."""
    server = Server(valkey_url, namespace=f"{valkey_namespace}:rate")
    try:
        seconds, _ = await server.call("TIME")  # pyright: ignore[reportGeneralTypeIssues]
        ahead = (int(seconds) + 365 * 24 * 3600) * 1_000_000
        await server.call("SET", server.key("brief"), ahead)
        (level,) = await rate_buckets.take(1, [Bucket(key="brief", per_second=10, burst=20)])
        assert level.wait_s == pytest.approx(0.1, abs=0.01)
        assert level.full_s == pytest.approx(2, abs=0.1)
    finally:
        await server.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_server_that_is_away_or_stands_still_is_an_outage(private_valkey: PrivateValkey, how: str) -> None:
    buckets = ValkeyBuckets(private_valkey.url)
    try:
        await buckets.take(1, [SLOW])
        getattr(private_valkey, how)()
        with pytest.raises(Unavailable, match="Valkey does not answer"):
            await buckets.take(1, [SLOW])
        private_valkey.start() if how == "kill" else private_valkey.proceed()
        assert (await buckets.take(1, [SLOW]))[0].left <= 999
    finally:
        await buckets.close()
