"""A server that goes down and comes back, on Kafka and on Valkey."""

import asyncio
import time

import pytest

from backend.foundation.bus.ports import Bus
from backend.foundation.kernel.errors import Unavailable
from tests.contract.members import (
    PARTITIONS,
    Collector,
    HurtMesh,
    by_key,
    join,
    message,
    publish,
    received,
    without_repeats,
)
from tests.fixtures.kafka import Broker, BusFactory
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.contract, pytest.mark.crash]

BACK_S = 40.0
"""A broker needs seconds to start, and members to find it again."""
SOON_S = 12.0


async def _with_orders(mesh: HurtMesh) -> Bus:
    bus = await mesh.make()
    await bus.create_topic("orders", partitions=PARTITIONS)
    return bus


async def _published(bus: Bus, key: str, number: int) -> bool:
    return await bus.publish([message(key, number)]) == [None]


async def test_starting_without_a_server_fails_within_seconds(hurt: HurtMesh) -> None:
    """BUS-1: with what to do about it."""
    hurt.kill()
    bus = await hurt.make(started=False)
    begun = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await bus.start()
    assert time.monotonic() - begun < SOON_S
    assert refused.value.hint


async def test_health_names_cause_and_cure_while_the_server_is_down(hurt: HurtMesh) -> None:
    """BUS-1: within 2 s, and it is well again when the server is."""
    bus = await _with_orders(hurt)
    assert (await bus.health()).ok
    hurt.kill()
    begun = time.monotonic()
    health = await bus.health()
    assert time.monotonic() - begun < 2.5
    assert not health.ok
    assert health.cause
    assert health.fix
    await hurt.restart()

    async def well() -> bool:
        return (await bus.health()).ok

    await until(well, BACK_S)


async def test_publishing_without_a_server_tells_of_each_message(hurt: HurtMesh) -> None:
    """BUS-1: nothing waits for ever, and it works again when the server is back."""
    bus = await _with_orders(hurt)
    await publish(bus, [message("k", "first")])
    hurt.kill()
    begun = time.monotonic()
    outcomes = await bus.publish([message("k", "lost"), message("l", "lost")])
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert time.monotonic() - begun < SOON_S
    await hurt.restart()
    await until(lambda: _published(bus, "k", 2), BACK_S)


async def test_every_other_question_says_that_the_server_is_down(hurt: HurtMesh) -> None:
    """BUS-1."""
    bus = await _with_orders(hurt)
    hurt.kill()
    begun = time.monotonic()
    for question in (bus.topics(), bus.lag("aw.test"), bus.create_topic("more", partitions=1), bus.delete_topic("x")):
        with pytest.raises(Unavailable):
            await question
    with pytest.raises(Unavailable):
        await bus.read("aw.test", ["orders"], Collector(), member="one")
    with pytest.raises(Unavailable):
        await anext(bus.replay("orders"))
    assert time.monotonic() - begun < 6 * SOON_S


async def test_what_was_acknowledged_survives_a_crash_and_arrives_in_order(hurt: HurtMesh) -> None:
    """BUS-1 BUS-3: reader and writer go on by themselves when the server is back."""
    bus = await _with_orders(hurt)
    sink = await join(await hurt.make())
    acknowledged: dict[str, list[str]] = {}
    writing = True

    async def write(key: str) -> None:
        number = 0
        while writing:
            # An outbox does the same: what was not acknowledged is sent again before anything later of its key.
            if await _published(bus, key, number):
                acknowledged.setdefault(key, []).append(str(number))
                number += 1

    writers = [asyncio.create_task(write(f"k{number}")) for number in range(8)]
    await received(sink, 100)
    hurt.kill()
    await hurt.restart()
    before = sum(map(len, acknowledged.values()))
    await until(lambda: sum(map(len, acknowledged.values())) > before + 100, BACK_S)
    writing = False
    await asyncio.gather(*writers)
    total = sum(map(len, acknowledged.values()))
    await until(lambda: len({(e.message.key, e.message.value) for e in sink.deliveries}) >= total, BACK_S)
    seen = {key: without_repeats(values) for key, values in by_key(sink.deliveries).items()}
    assert {key: values[: len(acknowledged[key])] for key, values in seen.items()} == acknowledged
    assert sink.reader is not None
    await until(lambda: _committed(sink), BACK_S)
    assert await bus.lag("aw.test") == {"orders": 0}


async def _committed(sink: Collector) -> bool:
    assert sink.reader is not None
    try:
        await sink.reader.commit(sink.last())
    except Unavailable:
        return False
    return True


async def test_a_watcher_goes_on_when_the_server_is_back(hurt: HurtMesh) -> None:
    """BUS-1."""
    bus = await _with_orders(hurt)
    async with bus.watch(["orders"]) as watcher:
        await publish(bus, [message("k", 0)])
        async with asyncio.timeout(SOON_S):
            assert (await anext(watcher)).message.value == b"0"
        hurt.kill()
        await hurt.restart()
        await until(lambda: _published(bus, "k", 1), BACK_S)
        async with asyncio.timeout(BACK_S):
            assert (await anext(watcher)).message.value == b"1"


async def test_closing_works_without_a_server(hurt: HurtMesh) -> None:
    """BUS-1: an application can end while its server is down."""
    bus = await _with_orders(hurt)
    await join(bus)
    hurt.kill()
    async with asyncio.timeout(2 * SOON_S):
        await bus.close()


async def test_a_broker_that_hangs_is_told_from_one_that_is_gone(hurt_broker: Broker, kafka_bus: BusFactory) -> None:
    """BUS-1: it accepts connections, but answers nothing."""
    bus = await kafka_bus()
    await bus.create_topic("orders", partitions=1)
    await publish(bus, [message("k", 0)])
    hurt_broker.freeze()
    begun = time.monotonic()
    assert [type(outcome) for outcome in await bus.publish([message("k", 1)])] == [Unavailable]
    assert time.monotonic() - begun < SOON_S
    health = await bus.health()
    assert not health.ok
    assert "does not answer" in health.cause
    stranger = await kafka_bus(started=False)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        await stranger.start()
    assert time.monotonic() - begun < SOON_S
    hurt_broker.proceed()
    await until(lambda: _published(bus, "k", 2), BACK_S)
