"""Watching and replaying on Kafka and on Valkey: reading without a group."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from backend.foundation.bus.ports import Bus, Delivery
from backend.foundation.kernel.errors import Invalid, NotFound
from tests.contract.members import DEADLINE_S, PARTITIONS, Mesh, by_key, join, message, publish, received
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract


async def _take(watcher: AsyncIterator[Delivery], count: int) -> list[Delivery]:
    async with asyncio.timeout(DEADLINE_S):
        return [await anext(watcher) for _ in range(count)]


async def _replay(bus: Bus, **given: int | str) -> list[Delivery]:
    return [delivery async for delivery in bus.replay("orders", **given)]  # pyright: ignore[reportArgumentType]


async def test_every_watcher_sees_every_message_in_order(bus: Bus, mesh: Mesh) -> None:
    """BUS-1: broadcast to every replica, and to each page of one."""
    other = await mesh.make()
    async with bus.watch(["orders"]) as first, bus.watch(["orders"]) as second, other.watch(["orders"]) as third:
        await publish(bus, [message(f"k{number % 5}", number) for number in range(100)])
        seen = [by_key(await _take(watcher, 100)) for watcher in (first, second, third)]
    assert seen[0] == {f"k{key}": [str(number) for number in range(key, 100, 5)] for key in range(5)}
    assert seen[1] == seen[0]
    assert seen[2] == seen[0]


async def test_a_watcher_sees_only_what_is_written_from_now_on(bus: Bus) -> None:
    """BUS-1: also when another watcher has been there longer."""
    await publish(bus, [message("k", "before")])
    async with bus.watch(["orders"]) as early:
        await publish(bus, [message("k", "between")])
        assert [each.message.value for each in await _take(early, 1)] == [b"between"]
        async with bus.watch(["orders"]) as late:
            await publish(bus, [message("k", "after")])
            assert [each.message.value for each in await _take(late, 1)] == [b"after"]
            assert [each.message.value for each in await _take(early, 1)] == [b"after"]


async def test_a_watcher_sees_its_own_topics_only(bus: Bus) -> None:
    """BUS-1."""
    await bus.create_topic("news", partitions=1)
    async with bus.watch(["news"]) as watcher, bus.watch(["orders", "news"]) as both:
        await publish(bus, [message("k", "order"), message("k", "news", topic="news")])
        assert [each.message.topic for each in await _take(watcher, 1)] == ["news"]
        assert {each.message.topic for each in await _take(both, 2)} == {"news", "orders"}


async def test_watching_moves_no_group(bus: Bus) -> None:
    """BUS-1."""
    async with bus.watch(["orders"]) as watcher:
        await publish(bus, [message("k", number) for number in range(3)])
        await _take(watcher, 3)
    sink = await join(bus)
    await received(sink, 3)
    assert sink.values() == ["0", "1", "2"]


async def test_a_slow_watcher_loses_the_oldest_and_holds_nobody_up(bus: Bus) -> None:
    """BUS-1: what waits for a page is bounded."""
    async with bus.watch(["orders"]) as slow, bus.watch(["orders"]) as quick:
        last = ""
        for round_ in range(30):
            await publish(bus, [message("k", f"{round_}-{number}") for number in range(100)])
            await _take(quick, 100)
            last = f"{round_}-99"
        kept: list[str] = []
        while not kept or kept[-1] != last:
            kept += [each.message.value.decode() for each in await _take(slow, 1)]
    assert kept[0] != "0-0"
    assert len(kept) < 3000


async def test_a_replay_gives_everything_that_is_stored(bus: Bus) -> None:
    """BUS-1: in order by key."""
    await publish(bus, [message(f"k{number % 7}", number) for number in range(200)])
    replayed = await _replay(bus)
    assert by_key(replayed) == {f"k{key}": [str(number) for number in range(key, 200, 7)] for key in range(7)}


async def test_a_replay_begins_with_the_given_offset(bus: Bus) -> None:
    """BUS-1."""
    await publish(bus, [message("k", number) for number in range(10)])
    seventh = (await _replay(bus))[7]
    values = [each.message.value for each in await _replay(bus, from_offset=seventh.offset)]
    assert values == [b"7", b"8", b"9"]


async def test_a_replay_begins_with_the_given_time(bus: Bus) -> None:
    """BUS-1: in milliseconds by the broker's log."""
    await publish(bus, [message("k", "old")])
    [old] = await _replay(bus)

    async def later() -> bool:
        await publish(bus, [message("k", "new")])
        return (await _replay(bus))[-1].timestamp_ms > old.timestamp_ms

    await until(later, DEADLINE_S)
    found = await _replay(bus, from_time_ms=old.timestamp_ms + 1)
    assert found
    assert all(each.timestamp_ms > old.timestamp_ms for each in found)
    assert await _replay(bus, from_time_ms=found[-1].timestamp_ms + 60_000) == []


async def test_a_replay_stops_at_its_limit(bus: Bus) -> None:
    """BUS-1."""
    await publish(bus, [message(f"k{number}", number) for number in range(50)])
    assert len(await _replay(bus, limit=20)) == 20


async def test_one_partition_is_replayed_from_an_offset_in_its_order(bus: Bus) -> None:
    """BUS-1 BUS-10."""
    await publish(bus, [message(f"k{number % 60}", number) for number in range(120)])
    everything = await _replay(bus)
    for number in range(PARTITIONS):
        own = [each.offset for each in everything if each.partition.number == number]
        assert [each.offset for each in await _replay(bus, partition=number)] == own
        found = await _replay(bus, partition=number, from_offset=own[3], limit=4)
        assert [(each.partition.number, each.offset) for each in found] == [(number, offset) for offset in own[3:7]]
    assert await _replay(bus, partition=PARTITIONS) == []


async def test_a_partition_tells_its_ends_and_how_much_it_holds(bus: Bus) -> None:
    """BUS-1 BUS-10."""
    assert [(each.number, each.first, each.last, each.held) for each in await bus.partitions("orders")] == [
        (number, "", "", 0) for number in range(PARTITIONS)
    ]
    await publish(bus, [message(f"k{number % 60}", number) for number in range(120)])
    everything = await _replay(bus)
    for found in await bus.partitions("orders"):
        own = [each.offset for each in everything if each.partition.number == found.number]
        assert (found.first, found.last, found.held) == (own[0], own[-1], len(own))
    with pytest.raises(NotFound):
        await bus.partitions("missing")


@pytest.mark.parametrize("offset", ["x", "-1", "1.5", "--", "\x00", "9" * 5_000])
async def test_what_is_no_offset_is_refused(bus: Bus, offset: str) -> None:
    """BUS-1."""
    await publish(bus, [message("k", 1)])
    with pytest.raises(Invalid):
        await _replay(bus, from_offset=offset)


async def test_a_replay_from_behind_the_end_is_empty(bus: Bus) -> None:
    """BUS-1."""
    await publish(bus, [message("k", 1)])
    assert await _replay(bus, from_offset="9" * 19) == []


async def test_a_replay_moves_no_group(bus: Bus) -> None:
    """BUS-1."""
    await publish(bus, [message("k", number) for number in range(5)])
    await _replay(bus)
    sink = await join(bus)
    await received(sink, 5)
    assert sink.values() == ["0", "1", "2", "3", "4"]


async def test_a_replay_that_is_left_early_leaves_nothing_behind(bus: Bus) -> None:
    """BUS-1."""
    await publish(bus, [message("k", number) for number in range(50)])
    replay = bus.replay("orders")
    first = await anext(replay)
    await replay.aclose()  # pyright: ignore[reportAttributeAccessIssue]
    assert first.message.value == b"0"


async def test_a_replay_that_is_cancelled_anywhere_leaves_no_connection_open(bus: Bus) -> None:
    """BUS-1: a page that is left while it asks; what nobody closed would be told when the rubbish is collected."""
    await publish(bus, [message("k", number) for number in range(5)])
    for steps in range(0, 1_500, 25):
        task = asyncio.create_task(_replay(bus))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    gc.collect()
    assert len(await _replay(bus)) == 5


async def test_a_replay_of_an_empty_topic_is_empty(bus: Bus) -> None:
    """BUS-1."""
    assert await _replay(bus) == []


async def test_a_replay_of_a_missing_topic_says_so(bus: Bus) -> None:
    """BUS-1."""
    with pytest.raises(NotFound):
        await anext(bus.replay("missing"))
    assert {topic.name: topic.partitions for topic in await bus.topics()}["orders"] == PARTITIONS
