"""The room's consumer on Kafka and on Valkey: order, concurrency, contiguous commits, back-pressure, dead letters."""

import asyncio

import pytest
import pytest_asyncio

from backend.foundation.bus import rules
from backend.foundation.bus.ports import Bus
from tests.contract.consumer import TOPIC, Consumer, Gate, Record, emit
from tests.contract.members import DEADLINE_S, PARTITIONS, Mesh
from tests.fixtures.waiting import until

pytestmark = pytest.mark.contract

KEYS = [f"k{number}" for number in range(24)]


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry comes after at most 20 ms."""
    monkeypatch.setattr(rules, "RETRIES", rules.Retries(first_s=0.02, longest_s=0.02))


@pytest_asyncio.fixture
async def agents(mesh: Mesh) -> Bus:
    """A started bus with the topic of the events."""
    bus = await mesh.make()
    await bus.create_topic(TOPIC, partitions=PARTITIONS)
    return bus


def _all(count: int, keys: list[str] = KEYS) -> dict[str, list[str]]:
    return {key: [f"{key}-{number}" for number in range(count)] for key in keys}


async def _behind(bus: Bus, count: int) -> bool:
    return await bus.lag("aw.contract") == {TOPIC: count}


@pytest.mark.parametrize("batch", [1, 50])
async def test_events_of_a_key_come_in_order_and_keys_at_the_same_time(agents: Bus, batch: int) -> None:
    """BUS-3: one by one and in batches."""
    record = Record()
    consumer = Consumer(record, Gate(), batch=batch, workers=16)
    await emit(agents, KEYS, range(40))
    await consumer.join(agents, "one")
    await until(lambda: record.count == 40 * len(KEYS), DEADLINE_S)
    assert record.handled == _all(40)
    assert not record.overlaps
    assert record.most_keys > 1
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    await consumer.leave()


async def test_a_handler_of_minutes_holds_up_its_key_only_and_costs_nothing(agents: Bus, mesh: Mesh) -> None:
    """BUS-3: it lasts for several times what a silent member is given."""
    record = Record()
    gate = Gate("slow")
    consumer = Consumer(record, gate)
    await emit(agents, ["slow"], range(2))
    await consumer.join(agents, "one")
    await until(lambda: gate.waiting == {"slow"}, DEADLINE_S)
    await emit(agents, KEYS, range(10))
    await until(lambda: record.count == 10 * len(KEYS), DEADLINE_S)
    with pytest.raises(TimeoutError):
        await until(lambda: consumer.calls != ["assigned"], mesh.session_s * 3)
    assert record.handled == _all(10)

    # Its partition is committed up to it and no further, the others entirely.
    behind = (await agents.lag("aw.contract"))[TOPIC]
    assert 2 <= behind < 10 * len(KEYS)
    gate.open()
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    assert record.handled == _all(10) | _all(2, ["slow"])
    assert consumer.calls == ["assigned"]
    await consumer.leave()


async def test_what_was_not_done_is_handled_again_by_the_next_member(agents: Bus) -> None:
    """BUS-3: the commit never passes a gap, so nothing is skipped when a member leaves in the middle of its work."""
    record = Record()
    gate = Gate("slow")
    first = Consumer(record, gate)
    await emit(agents, ["slow"], range(1))
    await emit(agents, KEYS, range(10))
    await first.join(agents, "one")
    await until(lambda: gate.waiting == {"slow"} and record.count == 10 * len(KEYS), DEADLINE_S)
    await first.leave()
    assert "slow" not in record.handled

    second = Consumer(record, Gate())
    await second.join(agents, "two")
    await until(lambda: "slow" in record.handled, DEADLINE_S)
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    assert record.fresh() == _all(10) | _all(1, ["slow"])
    assert not record.overlaps
    await second.leave()


async def test_a_key_is_never_handled_twice_at_once_when_members_come_and_go(agents: Bus, mesh: Mesh) -> None:
    """BUS-3: a rebalance in the middle of a stream loses nothing and keeps the order by key."""
    record = Record()
    consumers = [Consumer(record, Gate(), workers=8) for _ in range(3)]
    sent = 0

    async def stream(count: int) -> None:
        nonlocal sent
        for number in range(sent, sent + count):
            await emit(agents, KEYS, [number])
        sent += count

    await consumers[0].join(agents, "zero")
    await stream(10)
    for number, consumer in enumerate(consumers[1:], 1):
        other = await mesh.make()
        streaming = asyncio.create_task(stream(20))
        await consumer.join(other, f"member-{number}")
        await until(lambda consumer=consumer: bool(consumer.owned), DEADLINE_S)
        await streaming
    await asyncio.gather(consumers[1].leave(), stream(20))
    await until(lambda: sum(len(c.owned) for c in (consumers[0], consumers[2])) == PARTITIONS, DEADLINE_S)
    await stream(5)
    await until(lambda: record.fresh() == _all(sent), DEADLINE_S)
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    assert not record.overlaps
    # A repetition may only come directly after a rebalance, and never before an older event of its key.
    for values in record.handled.values():
        numbers = [int(value.rpartition("-")[2]) for value in dict.fromkeys(values)]
        assert numbers == sorted(numbers)
    await asyncio.gather(consumers[0].leave(), consumers[2].leave())


async def test_what_waits_for_slow_handlers_is_bounded(agents: Bus, mesh: Mesh) -> None:
    """BUS-3: the broker keeps the rest, and the member stays in the group."""
    record = Record()
    gate = Gate(*KEYS)
    consumer = Consumer(record, gate, workers=4)
    await emit(agents, KEYS, range(500))
    await consumer.join(agents, "one")
    await until(lambda: len(gate.waiting) == 4, DEADLINE_S)
    with pytest.raises(TimeoutError):
        await until(lambda: consumer.delivered > 2_000 * PARTITIONS, mesh.session_s)
    assert consumer.delivered < 500 * len(KEYS)
    gate.open()
    await until(lambda: record.count == 500 * len(KEYS), 3 * DEADLINE_S)
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    assert record.handled == _all(500)
    assert consumer.calls == ["assigned"]
    await consumer.leave()


async def test_an_event_that_always_fails_is_given_up_and_the_others_go_on(agents: Bus) -> None:
    """BUS-3 BUS-4: after a bounded number of attempts it becomes a dead letter with its position."""
    record = Record()
    attempts = 0

    async def handle(_key: str, text: str) -> None:
        nonlocal attempts
        if text == "k3-1":
            attempts += 1
            raise ValueError("poison")

    consumer = Consumer(record, handle, batch=50)
    await emit(agents, KEYS, range(5))
    await consumer.join(agents, "one")
    await until(lambda: _behind(agents, 0), DEADLINE_S)
    expected = _all(5)
    expected["k3"].remove("k3-1")
    assert record.fresh() == expected
    [(text, tried, delivery)] = record.buried
    assert text == "k3-1"
    assert tried == rules.RETRIES.attempts
    assert attempts >= rules.RETRIES.attempts
    assert delivery.partition.topic == TOPIC
    again = [each async for each in agents.replay(TOPIC, from_offset=delivery.offset)]
    assert delivery in again
    await consumer.leave()
