"""BUS-1, BUS-3, BUS-5: the broker stands still for 20 s, and workers come and go, under load."""

import asyncio
import os
import signal

import pytest

from tests.crash.conftest import Broker
from tests.crash.load import Load
from tests.crash.stand import Stand
from tests.crash.test_failpoints_of_the_bus import talk
from tests.crash.test_failpoints_of_the_engine import tenant_of
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]

WHOLE = bool(os.environ.get("AUTOWEAVE_TESTS_MATRIX"))
STOPPED_S = 20.0 if WHOLE else 4.0
CALM_S = 1.0
DRAINED_S = 90.0
MOST_LINES = 20
"""That a process may log about an outage: it is one thing that goes wrong, however many requests fail of it."""


async def test_all_that_was_asked_for_while_the_broker_stood_still_is_done_once_and_in_order(
    stand: Stand, broker: Broker
) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        workers = [await stand.worker(), await stand.worker()]
        await talk(backend, tenant)
        load = Load(backend, tenant)
        await asyncio.sleep(CALM_S)
        said = [len(worker.said()) for worker in workers]
        broker.freeze()
        try:
            before = load.messages
            await asyncio.sleep(STOPPED_S)
            # Who writes waits for nobody: the message is stored, and goes out later.
            assert load.messages > before
        finally:
            broker.proceed()
        await asyncio.sleep(CALM_S)
        await load.stop()
        load.messages += 1  # the talk
        assert await load.ended(DRAINED_S) == []
        await until(
            lambda: all(said_over(worker.said()[before:]) for worker, before in zip(workers, said, strict=True)), 20
        )
    for worker, before in zip(workers, said, strict=True):
        told = worker.said()[before:]
        assert "Traceback" not in worker.said()
        assert len(told.splitlines()) <= MOST_LINES, told


def said_over(told: str) -> bool:
    """Whether who said that something does not work has said that it does again."""
    fails, works = ("relay waits", "positions not committed", "entries wait"), (
        "relay goes on", "positions are committed again", "entries go to the store again",
    )  # fmt: skip
    return all(told.rfind(over) >= told.rfind(down) for down, over in zip(fails, works, strict=True))


async def test_all_is_done_once_and_in_order_while_workers_join_leave_and_die(stand: Stand) -> None:
    async with stand.open() as backend:
        tenant = await tenant_of(backend)
        first = await stand.worker()
        await talk(backend, tenant)
        load = Load(backend, tenant)
        await asyncio.sleep(CALM_S)
        second = await stand.worker()
        await asyncio.sleep(CALM_S)
        first.process.send_signal(signal.SIGTERM)
        assert await first.died() == 0
        third = await stand.worker()
        seen = load.messages
        await until(lambda: load.messages > seen + 5, 20)
        second.kill()
        await asyncio.sleep(CALM_S)
        await load.stop()
        load.messages += 1
        assert await load.ended(DRAINED_S) == []
    assert "Traceback" not in first.said() + second.said() + third.said()
