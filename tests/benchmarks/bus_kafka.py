"""What the bus costs on Apache Kafka: a bare aiokafka loop against `KafkaBus` with the dispatcher, on one machine.

One process writes events and one handles them, beside a broker of its own. An event counts from the moment at which it
was due until its handler has it. ``python -m tests.benchmarks.bus_kafka [--seconds 5] [--rate 5000]`` prints one line
of JSON; ``open_loop`` writes at that rate whatever happens, ``saturated`` as fast as it is acknowledged. The floor is
the bare loop.
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Protocol

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from backend.adapters.kafka.bus import KafkaBus
from backend.foundation.bus.ports import Delivery, Message
from backend.foundation.bus.service.dispatch import Dispatcher
from backend.foundation.events.codec import decode, encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import TenantId
from tests.benchmarks.stand import spread, tell
from tests.fixtures.kafka import Broker, kafka_server

_TYPE = "agents.start_run.v1"
_PARTITIONS = 8
_KEYS = 500
_TICK_S = 0.005
_CHUNK = 200
_WINDOW = 8
_END = "end"
# Seconds by which each event was late, and the processor time of the process that handled them.
_Report = tuple[list[float], float]


class _Handled:
    """What the handling process saw: how many events, how late, and what it cost."""

    def __init__(self, results: "Queue[_Report]") -> None:
        self._results = results
        self._late_s: list[float] = []
        self._cpu_s = 0.0
        self.done = asyncio.Event()

    def take(self, due_ns: str) -> None:
        if due_ns == _END:
            self._report()
            return
        if not self._late_s:
            self._cpu_s = time.process_time()
        self._late_s.append((time.time_ns() - int(due_ns)) / 1e9)

    def _report(self) -> None:
        spent = time.process_time() - self._cpu_s
        self._results.put((self._late_s, spent))
        self._late_s = []


class _Work:
    """The dispatcher's work: decodes and checks each event, as every consumer does."""

    batch = 200

    def __init__(self, handled: _Handled) -> None:
        self._handled = handled

    def event_of(self, delivery: Delivery) -> Event | None:
        return decode(delivery.message.headers, delivery.message.value, delivery.message.key)

    async def do(self, events: Sequence[Event]) -> None:
        for event in events:
            self._handled.take(event.subject)

    async def bury(self, delivery: Delivery, event: Event | None, error: Exception, attempts: int) -> None:
        raise error


async def _handle_by_bus(server: str, ready: Callable[[], None], handled: _Handled) -> None:
    bus = KafkaBus(f"kafka://{server}")
    dispatcher = Dispatcher("bench", _Work(handled), workers=1)
    dispatcher.bind(await bus.read("bench.bus", ["bus"], dispatcher, member="bench"))
    ready()
    await asyncio.Event().wait()


async def _handle_bare(server: str, ready: Callable[[], None], handled: _Handled) -> None:
    consumer = AIOKafkaConsumer(
        "bare",
        bootstrap_servers=server,
        group_id="bench.bare",
        enable_auto_commit=True,
        auto_commit_interval_ms=100,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    ready()
    while True:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                handled.take(next(text for name, text in record.headers if name == "ce_subject").decode())


def _handler(kind: str, server: str, ready: Callable[[], None], results: "Queue[_Report]") -> None:
    async def run() -> None:
        handle = _handle_by_bus if kind == "bus" else _handle_bare
        await handle(server, ready, _Handled(results))

    uvloop.run(run())


class _Writer(Protocol):
    async def __call__(self, due_ns: Sequence[str], first: int) -> None: ...


def _event(number: int, due_ns: str) -> Message:
    data = StartRun(agent="greeter", input=f"question {number} " + "x" * 100)
    tenant, key = TenantId("ten_bench"), f"thr_{number % _KEYS}"
    return Message(*encode(Event(type=_TYPE, tenant=tenant, key=key, source="/bench", subject=due_ns, data=data)))


@asynccontextmanager
async def _bus_writer(server: str) -> AsyncIterator[_Writer]:
    bus = KafkaBus(f"kafka://{server}")
    await bus.start()

    async def write(due_ns: Sequence[str], first: int) -> None:
        wires = [_event(first + number, due) for number, due in enumerate(due_ns)]
        messages = [Message("bus", wire.key, wire.headers, wire.value) for wire in wires]
        assert set(await bus.publish(messages)) == {None}

    yield write
    await bus.close()


@asynccontextmanager
async def _bare_writer(server: str) -> AsyncIterator[_Writer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=server, enable_idempotence=True, compression_type="lz4", linger_ms=2, max_batch_size=131072
    )
    await producer.start()

    async def write(due_ns: Sequence[str], first: int) -> None:
        sent: list[Awaitable[object]] = []
        for number, due in enumerate(due_ns):
            wire = _event(first + number, due)
            headers = [(name, value.encode()) for name, value in wire.headers.items()]
            sent.append(await producer.send("bare", wire.value, key=wire.key.encode(), headers=headers))
        await asyncio.gather(*sent)

    yield write
    await producer.stop()


async def _open_loop(write: _Writer, seconds: float, rate: int) -> int:
    """Write at a fixed rate, whatever becomes of it; return how many."""
    begun, tasks, count = time.time_ns(), set[asyncio.Task[None]](), 0
    while count < seconds * rate:
        due = int((time.time_ns() - begun) / 1e9 * rate)
        if due > count:
            stamps = [str(begun + int(number * 1e9 / rate)) for number in range(count, due)]
            task = asyncio.create_task(write(stamps, count))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            count = due
        await asyncio.sleep(_TICK_S)
    await asyncio.gather(*tasks)
    return count


async def _saturated(write: _Writer, seconds: float) -> int:
    """Write as fast as it is acknowledged, a few calls at the same time; return how many."""
    until, count = time.monotonic() + seconds, 0

    async def work() -> None:
        nonlocal count
        while time.monotonic() < until:
            first, count = count, count + _CHUNK
            await write([str(time.time_ns())] * _CHUNK, first)

    await asyncio.gather(*(work() for _ in range(_WINDOW)))
    return count


def _broker_s(broker: Broker) -> float:
    fields = Path(f"/proc/{broker.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(
    kind: str, broker: Broker, load: Callable[[_Writer], Awaitable[int]], results: "Queue[_Report]"
) -> dict[str, object]:
    async with (_bus_writer if kind == "bus" else _bare_writer)(broker.bootstrap) as write:
        begun, own, brokers = time.monotonic(), time.process_time(), _broker_s(broker)
        count = await load(write)
        own = time.process_time() - own
        late_s: list[float] = []
        cpu_s = 0.0
        # The last event says that it is the last; others of other partitions may come after it.
        while len(late_s) < count:
            await write([_END], 0)
            told = await asyncio.to_thread(results.get, timeout=60)
            late_s += told[0]
            cpu_s += told[1] if told[0] else 0.0
        took = time.monotonic() - begun
        brokers = _broker_s(broker) - brokers
    spent = {"writer": own, "handler": cpu_s, "broker": brokers}
    return {
        "events": count,
        "per_s": round(count / took),
        **spread(late_s),
        "cpu_us": {name: round(value / count * 1e6, 1) for name, value in spent.items()},
    }


async def _figures(kind: str, broker: Broker, seconds: float, rate: int) -> dict[str, Any]:
    bus = KafkaBus(broker.url)
    await bus.create_topic(kind, partitions=_PARTITIONS)
    await bus.close()
    context = multiprocessing.get_context("spawn")
    ready, results = context.Event(), context.Queue()
    handler = context.Process(target=_handler, args=(kind, broker.bootstrap, ready.set, results), daemon=True)
    handler.start()
    try:
        await asyncio.to_thread(ready.wait, 30)
        # The first seconds pay for Java's compilation.
        await _measure(kind, broker, lambda write: _open_loop(write, 3, 2000), results)
        return {
            "open_loop": await _measure(kind, broker, lambda write: _open_loop(write, seconds, rate), results),
            "saturated": await _measure(kind, broker, lambda write: _saturated(write, seconds), results),
        }
    finally:
        handler.terminate()
        handler.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the bus on Kafka.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=int, default=5000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        broker: Broker = kafka_server.KafkaServer(Path(folder), heap="1g")
        broker.start()
        try:
            bare, own = (uvloop.run(_figures(kind, broker, given.seconds, given.rate)) for kind in ("bare", "bus"))
        finally:
            broker.stop()
    asked = {"seconds": given.seconds, "rate": given.rate}
    ratio = round(bare["saturated"]["per_s"] / own["saturated"]["per_s"], 1)
    tell("bus_kafka", {**asked, **own, "floor_bare_aiokafka": bare, "ratio_to_floor": ratio})


if __name__ == "__main__":
    main()
