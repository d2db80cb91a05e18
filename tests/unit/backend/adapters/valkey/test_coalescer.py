"""BUS-1 CHT-3: many small requests become few large ones, in order, and each asker gets his own answer."""

import asyncio

import pytest

from backend.adapters.valkey.coalescer import Coalescer
from backend.foundation.kernel.errors import Unavailable


class Sender:
    """Sends when it is let, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.errors: list[Exception] = []

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return [item * 10 for item in items]


async def test_what_comes_while_a_batch_is_on_its_way_goes_together_in_the_next() -> None:
    sender = Sender()
    coalescer: Coalescer[int, int] = Coalescer(sender)
    first = asyncio.create_task(coalescer.put([1]))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(coalescer.put([number, number + 1])) for number in (2, 4, 6)]
    await asyncio.sleep(0)
    sender.gate.set()
    assert await asyncio.gather(first, *others) == [[10], [20, 30], [40, 50], [60, 70]]
    assert sender.batches == [[1], [2, 3, 4, 5, 6, 7]]
    await coalescer.close()


async def test_a_large_request_is_sent_in_parts_and_answered_whole() -> None:
    sender = Sender()
    sender.gate.set()
    coalescer: Coalescer[int, int] = Coalescer(sender, batch=3)
    assert await coalescer.put(list(range(8))) == [number * 10 for number in range(8)]
    assert sender.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert await coalescer.put([]) == []


async def test_an_error_reaches_those_whose_items_were_in_the_batch_only() -> None:
    sender = Sender()
    sender.errors = [Unavailable("down")]
    coalescer: Coalescer[int, int] = Coalescer(sender)
    first = asyncio.create_task(coalescer.put([1]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(coalescer.put([2]))
    await asyncio.sleep(0)
    sender.gate.set()
    with pytest.raises(Unavailable):
        await first
    assert await second == [20]


async def test_what_waits_is_bounded() -> None:
    coalescer: Coalescer[int, int] = Coalescer(Sender(), limit=10)
    waiting = asyncio.create_task(coalescer.put(list(range(10))))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await asyncio.gather(coalescer.put([10]), coalescer.put([11] * 10))
    waiting.cancel()


async def test_closing_sends_what_waits() -> None:
    sender = Sender()
    coalescer: Coalescer[int, int] = Coalescer(sender)
    asked = [asyncio.create_task(coalescer.put([number])) for number in range(3)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, sender.gate.set)
    await coalescer.close()
    assert await asyncio.gather(*asked) == [[0], [10], [20]]
