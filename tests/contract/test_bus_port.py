"""The bus port on Kafka and on Valkey: writing, reading, topics, lag, health."""

import pytest

from backend.foundation.bus.ports import Bus, Message
from backend.foundation.kernel.errors import Conflict, NotFound, TooLarge
from tests.contract.members import DEADLINE_S, PARTITIONS, Mesh, by_key, join, message, publish, received
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract


async def test_a_message_arrives_as_it_was_written(bus: Bus) -> None:
    """BUS-1 BUS-2: key, headers and bytes are untouched."""
    sent = Message("orders", "schlüssel", {"ce_id": "1", "ce_type": "a.b.v1", "ce_subject": "µ"}, b"\x00\xff{}")
    await publish(bus, [sent])
    sink = await join(bus)
    await received(sink, 1)
    delivery = sink.deliveries[0]
    assert delivery.message == sent
    assert delivery.partition.topic == "orders"
    assert delivery.timestamp_ms > 1_700_000_000_000


async def test_messages_of_a_key_arrive_in_the_order_of_their_publication(bus: Bus) -> None:
    """BUS-3."""
    keys = [f"k{number}" for number in range(20)]
    await publish(bus, [message(key, number) for number in range(50) for key in keys])
    sink = await join(bus)
    await received(sink, 1000)
    assert by_key(sink.deliveries) == {key: [str(number) for number in range(50)] for key in keys}


async def test_a_key_keeps_its_partition_over_calls(bus: Bus) -> None:
    """BUS-3."""
    for number in range(10):
        await publish(bus, [message("same", number)])
    sink = await join(bus)
    await received(sink, 10)
    assert len({each.partition for each in sink.deliveries}) == 1
    assert sink.values() == [str(number) for number in range(10)]


async def test_publishing_tells_of_each_message_by_itself(bus: Bus) -> None:
    """BUS-1: one that cannot be written does not hold up the others."""
    outcomes = await bus.publish(
        [
            message("k", "good"),
            message("k", "nowhere", topic="missing"),
            Message("orders", "k", {}, b"x" * 3_000_000),
            message("k", "good too"),
        ]
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], NotFound)
    assert isinstance(outcomes[2], TooLarge)
    assert outcomes[3] is None
    sink = await join(bus)
    await received(sink, 2)
    assert sink.values() == ["good", "good too"]


async def test_publishing_nothing_is_fine(bus: Bus) -> None:
    """BUS-1."""
    assert await bus.publish([]) == []


async def test_a_group_goes_on_after_what_it_has_committed(bus: Bus) -> None:
    """BUS-1 BUS-3: the committed offset is that of the last delivery done."""
    await publish(bus, [message("k", number) for number in range(10)])
    first = await join(bus)
    await received(first, 10)
    fourth = next(each for each in first.deliveries if each.message.value == b"3")
    assert first.reader is not None
    await first.reader.commit({fourth.partition: fourth.offset})
    await first.reader.stop()

    second = await join(bus, member="two")
    await received(second, 6)
    assert second.values() == [str(number) for number in range(4, 10)]


async def test_groups_do_not_see_each_other(bus: Bus) -> None:
    """BUS-1: each group gets every message, from the earliest on."""
    await publish(bus, [message("k", number) for number in range(5)])
    first, second = await join(bus, group="aw.first"), await join(bus, group="aw.second")
    await received(first, 5)
    await received(second, 5)
    assert first.values() == second.values() == ["0", "1", "2", "3", "4"]


async def test_lag_counts_what_the_group_has_not_committed(bus: Bus) -> None:
    """BUS-1."""
    await bus.create_topic("quiet", partitions=1)
    await publish(bus, [message(f"k{number}", number) for number in range(12)])
    sink = await join(bus, group="aw.lag")
    await received(sink, 12)
    assert await bus.lag("aw.lag") == {"orders": 12}
    assert sink.reader is not None
    await sink.reader.commit(sink.last())
    assert await bus.lag("aw.lag") == {"orders": 0}
    await publish(bus, [message("more", number) for number in range(3)])
    assert await bus.lag("aw.lag") == {"orders": 3}


async def test_a_group_that_never_was_has_no_lag(bus: Bus) -> None:
    """BUS-1."""
    assert await bus.lag("aw.nobody") == {}


async def test_a_topic_is_described_as_it_was_made(bus: Bus) -> None:
    """BUS-1."""
    await bus.create_topic("short", partitions=2, settings={"retention.ms": "3600000"})
    await publish(bus, [message(f"k{number}", number, topic="short") for number in range(7)])
    described = {topic.name: topic for topic in await bus.topics()}
    assert described.keys() == {"orders", "short"}
    assert described["orders"].partitions == PARTITIONS
    assert described["short"].partitions == 2
    assert described["short"].end == 7
    assert described["short"].settings == {"retention.ms": "3600000"}


async def test_making_a_topic_again_is_fine_with_as_many_partitions_only(bus: Bus) -> None:
    """BUS-1."""
    await bus.create_topic("orders", partitions=PARTITIONS)
    with pytest.raises(Conflict):
        await bus.create_topic("orders", partitions=PARTITIONS + 1)


async def test_a_deleted_topic_is_gone_with_its_messages(bus: Bus) -> None:
    """BUS-1: and can be made anew, empty."""
    await publish(bus, [message("k", number) for number in range(3)])
    await bus.delete_topic("orders")
    assert await bus.topics() == []
    await bus.delete_topic("orders")
    await bus.create_topic("orders", partitions=1)
    assert [(topic.partitions, topic.end) for topic in await bus.topics()] == [(1, 0)]


async def test_namespaces_do_not_see_each_other(mesh: Mesh) -> None:
    """BUS-1: installations share a server."""
    bus = await mesh.make()
    mesh.namespace = f"other-{mesh.namespace}"
    other = await mesh.make()
    await bus.create_topic("orders", partitions=1)
    await other.create_topic("orders", partitions=2)
    await publish(bus, [message("k", "mine")])
    assert [(topic.partitions, topic.end) for topic in await bus.topics()] == [(1, 1)]
    assert [(topic.partitions, topic.end) for topic in await other.topics()] == [(2, 0)]


async def test_health_tells_that_the_server_answers_and_how_fast(bus: Bus, mesh: Mesh) -> None:
    """BUS-1."""
    health = await bus.health()
    assert health.ok
    assert health.kind == mesh.kind
    assert 0 < health.latency_ms < 2000
    assert not health.cause


async def test_closing_ends_the_readers(mesh: Mesh) -> None:
    """BUS-1: what is owned is revoked, so that others take over at once."""
    bus = await mesh.make()
    await bus.create_topic("orders", partitions=PARTITIONS)
    leaving = await join(bus)
    await bus.close()
    assert not leaving.owned
    assert leaving.names()[-1] == "revoked"
    heir = await join(await mesh.make(), member="heir")
    await until(lambda: len(heir.owned) == PARTITIONS, DEADLINE_S)
