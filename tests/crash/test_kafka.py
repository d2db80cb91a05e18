"""BUS-1, BUS-3, BUS-5: what Kafka alone can do to real workers under load: all is done once and in order."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from backend.adapters.kafka.bus import KafkaBus
from backend.foundation.kernel.errors import Unavailable
from tests.crash.load import Load
from tests.crash.stand import Stand
from tests.crash.test_failpoints_of_the_bus import talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.kafka import Broker, restarted
from tests.fixtures.read_only import read_only
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300), pytest.mark.on_servers, pytest.mark.only_on("kafka")]

WHOLE = bool(os.environ.get("AUTOWEAVE_TESTS_MATRIX"))
# Longer than a message waits to be written, and in the whole than any session.
CUT_S = 60.0 if WHOLE else 10.0
CALM_S = 1.0
DRAINED_S = 120.0


async def test_all_is_done_once_and_in_order_when_the_network_to_the_broker_was_cut(
    stand: Stand, kafka_broker: Broker
) -> None:
    stand.bus_url = kafka_broker.cable_url
    async with kafka_broker.cable.laid() as cable, stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = [await stand.worker(), await stand.worker()]
        await talk(backend, tenant)
        load = Load(backend, tenant)
        await asyncio.sleep(CALM_S)
        cable.cut()
        before = load.messages
        await asyncio.sleep(CUT_S)
        assert load.messages > before
        cable.mend()
        await asyncio.sleep(CALM_S)
        await load.stop()
        load.messages += 1  # the talk
        assert await load.ended(DRAINED_S) == []
        for worker in workers:
            worker.kill()
    assert "Traceback" not in "".join(worker.said() for worker in workers)


async def test_all_is_done_once_and_in_order_when_the_broker_was_killed(stand: Stand, hurt_broker: Broker) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = [await stand.worker(), await stand.worker()]
        await talk(backend, tenant)
        load = Load(backend, tenant)
        await asyncio.sleep(CALM_S)
        hurt_broker.kill()
        await restarted(hurt_broker)
        await asyncio.sleep(CALM_S)
        await load.stop()
        load.messages += 1
        assert await load.ended(DRAINED_S) == []
    assert "Traceback" not in "".join(worker.said() for worker in workers)


async def test_a_rolling_restart_moves_no_partition(stand: Stand) -> None:
    """OPS-2: with AUTOWEAVE_BUS_RESTART each worker finds its partitions where it left them, and no other is asked."""
    stand.around = {"AUTOWEAVE_BUS_RESTART": "60"}
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = [await stand.worker(), await stand.worker()]

        async def owned() -> dict[str, set[tuple[str, int]]]:
            members = (await backend.bus.members("agents"))["agents"]
            return {member.name: set(member.partitions) for member in members}

        async def shared() -> bool:
            return len(found := await owned()) == 2 and all(found.values())

        await until(shared, 60)
        await talk(backend, tenant)
        before = await owned()
        load = Load(backend, tenant)
        seen: list[dict[str, set[tuple[str, int]]]] = []

        async def look() -> None:
            while True:
                seen.append(await owned())
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        for worker in workers:
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.died() == 0
            await stand.worker(replaces=worker.name)
            handled = load.messages
            await until(lambda enough=handled + 5: load.messages >= enough, 60)
        looking.cancel()
        await asyncio.wait([looking])
        await load.stop()
        load.messages += 1
        assert await load.ended(DRAINED_S) == []
    assert len(seen) > 10
    assert [found for found in seen if found != before] == []


@pytest.mark.whole
@pytest.mark.mounts
async def test_all_is_done_once_and_in_order_when_the_brokers_folder_was_read_only(
    stand: Stand, hurt_broker: Broker
) -> None:
    """Kafka ends itself when it cannot write; health says so, and all goes on once it can and is started again."""
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = [await stand.worker(), await stand.worker()]
        await talk(backend, tenant)
        load = Load(backend, tenant)
        await asyncio.sleep(CALM_S)
        with read_only(hurt_broker.data / "log"):
            other = KafkaBus(hurt_broker.url, namespace=f"{stand.namespace}.other.")
            # The controller promises a topic, and the broker finds that it cannot make it.
            with suppress(Unavailable):
                await other.create_topic("orders", partitions=1)
            await other.close()
            await until(lambda: hurt_broker.pid is None, 90)
            before = load.messages
            await until(lambda: load.messages > before, 20)
            health = await backend.bus.health()
            assert not health.ok
            assert health.cause
            assert health.fix
        await restarted(hurt_broker)
        await asyncio.sleep(CALM_S)
        await load.stop()
        load.messages += 1
        assert await load.ended(DRAINED_S) == []
    assert "Traceback" not in "".join(worker.said() for worker in workers)
