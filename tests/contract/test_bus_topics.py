"""Topics that are changed while they are used: settings, partitions, the last message of each key."""

import asyncio

import pytest

from backend.foundation.bus.ports import Bus, TopicInfo
from backend.foundation.kernel.errors import Conflict, Invalid, NotFound
from tests.contract.members import DEADLINE_S, PARTITIONS, Mesh, join, message, publish, received
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract

_DAY_MS = 24 * 3_600_000


async def described(bus: Bus, name: str = "orders") -> TopicInfo:
    [topic] = [topic for topic in await bus.topics() if topic.name == name]
    return topic


async def test_a_topic_tells_what_applies_to_it_whoever_set_it(bus: Bus) -> None:
    """BUS-1: the broker's default, or its own."""
    topic = await described(bus)
    assert (topic.retention_ms, topic.cleanup, topic.settings) == (7 * _DAY_MS, "delete", {})
    await bus.create_topic("own", partitions=1, settings={"retention.ms": "-1", "cleanup.policy": "compact"})
    topic = await described(bus, "own")
    assert (topic.retention_ms, topic.cleanup) == (-1, "compact")


async def test_settings_of_a_topic_are_changed_and_the_others_stay(bus: Bus) -> None:
    """BUS-1."""
    await bus.create_topic("own", partitions=1, settings={"retention.ms": "3600000", "max.message.bytes": "500000"})
    await publish(bus, [message("k", "kept", topic="own")])
    await bus.alter_topic("own", settings={"retention.ms": str(_DAY_MS), "cleanup.policy": "compact,delete"})

    async def changed() -> bool:
        topic = await described(bus, "own")
        return (topic.retention_ms, set(topic.cleanup.split(","))) == (_DAY_MS, {"compact", "delete"})

    # A broker answers before every other one has heard of it.
    await until(changed, DEADLINE_S)
    topic = await described(bus, "own")
    assert topic.settings["max.message.bytes"] == "500000"
    assert (topic.partitions, topic.end) == (1, 1)


async def test_two_who_change_a_topic_at_once_lose_nothing_of_each_other(mesh: Mesh, bus: Bus) -> None:
    """BUS-1."""
    other = await mesh.make()
    await asyncio.gather(
        bus.alter_topic("orders", settings={"retention.ms": str(_DAY_MS)}),
        other.alter_topic("orders", settings={"cleanup.policy": "compact"}),
    )

    async def both() -> bool:
        return (await described(bus)).settings == {"retention.ms": str(_DAY_MS), "cleanup.policy": "compact"}

    await until(both, DEADLINE_S)


async def test_partitions_are_raised_and_read_written_and_watched_at_once(bus: Bus) -> None:
    """BUS-1: nothing that was there is lost, and what comes is read from its first message on."""
    await publish(bus, [message(f"k{number}", f"before {number}") for number in range(8)])
    sink = await join(bus)
    await received(sink, 8)
    async with bus.watch(["orders"]) as watcher:
        await bus.alter_topic("orders", partitions=PARTITIONS * 2)
        assert (await described(bus)).partitions == PARTITIONS * 2
        sent = 0

        async def some_in_a_new_partition() -> bool:
            nonlocal sent
            await publish(bus, [message(f"k{sent}", f"after {sent}")])
            sent += 1
            return any(each.partition.number >= PARTITIONS for each in sink.deliveries)

        await until(some_in_a_new_partition, DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            watched = {(await anext(watcher)).message.value.decode() for _ in range(sent)}
    assert watched == {f"after {number}" for number in range(sent)}
    # A member that is given new partitions may read again what nobody committed.
    await until(lambda: len(set(sink.values())) == 8 + sent, DEADLINE_S)
    assert len(await bus.partitions("orders")) == PARTITIONS * 2


async def test_another_process_takes_note_of_new_partitions(
    mesh: Mesh, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-1: one that reads and one that writes."""
    monkeypatch.setattr("backend.adapters.valkey.bus._HOUSEKEEPING_S", 0.2)
    other = await mesh.make()
    sink = await join(other)
    await bus.alter_topic("orders", partitions=PARTITIONS * 2)
    sent = 0

    async def some_in_a_new_partition() -> bool:
        nonlocal sent
        await publish(other, [message(f"k{sent}", sent)])
        sent += 1
        return any(each.partition.number >= PARTITIONS for each in sink.deliveries)

    await until(some_in_a_new_partition, DEADLINE_S)
    await until(lambda: len(set(sink.values())) == sent, DEADLINE_S)


async def test_partitions_are_never_taken_away(bus: Bus) -> None:
    """BUS-1."""
    await bus.alter_topic("orders", partitions=PARTITIONS)
    with pytest.raises(Conflict, match="has 4 partitions, more than 3"):
        await bus.alter_topic("orders", partitions=PARTITIONS - 1)
    assert (await described(bus)).partitions == PARTITIONS


async def test_what_is_no_setting_is_refused_and_changes_nothing(bus: Bus) -> None:
    """BUS-1."""
    bad = ({"cleanup.policy": "burn"}, {"retention.ms": "soon"}, {"retention.ms": "-2"}, {"retention.ms": "9" * 30})
    for settings in bad:
        with pytest.raises(Invalid):
            await bus.alter_topic("orders", settings=settings)
    for name in ("missing", "", "a b\0", "x" * 5_000):
        with pytest.raises((NotFound, Invalid)):
            await bus.alter_topic(name, settings={"retention.ms": "1"})
        with pytest.raises((NotFound, Invalid)):
            await bus.alter_topic(name, partitions=8)
    assert (await described(bus)).settings == {}


async def test_of_a_compacted_topic_the_last_message_of_each_key_stays(
    mesh: Mesh, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUS-1 BUS-7: and a group that comes later reads it over the gaps; its lag ends at nothing."""
    settings = {
        "cleanup.policy": "compact,delete",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "100",
    }
    await bus.create_topic("states", partitions=1, settings=settings)
    keys = [f"k{number}" for number in range(5)]
    await publish(bus, [message(key, f"{key} {number}", topic="states") for number in range(60) for key in keys])
    last = {f"{key} 59" for key in keys}

    async def stored() -> set[str]:
        return {each.message.value.decode() async for each in bus.replay("states")}

    async def compacted() -> bool:
        if mesh.kind == "kafka":
            # It leaves the segment alone that is written to.
            await publish(bus, [message("k0", "k0 59", topic="states")])
        return await stored() == last

    monkeypatch.setattr("backend.adapters.valkey.bus._HOUSEKEEPING_S", 0.2)
    await mesh.make()
    # Kafka's cleaner looks every 15 s.
    await until(compacted, 60)
    sink = await join(bus, topic="states")
    await until(lambda: last <= set(sink.values()), DEADLINE_S)

    async def done() -> bool:
        if sink.reader is not None:
            await sink.reader.commit(sink.last())
        return await bus.lag("aw.test") == {"states": 0}

    await until(done, DEADLINE_S)
