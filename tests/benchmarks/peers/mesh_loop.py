"""The load of ``autoweave bench mesh`` over bare clients and FastStream, in an environment without AutoWeave.

``python mesh_loop.py KIND MODE URL RATE SECONDS WARM_S SIZE`` prints one line of JSON. KIND is ``aiokafka``,
``faststream`` or ``valkey``; the driver of the first two is the same. MODE is ``handled``, ``reply`` (each is answered,
timed when the driver has the answer) or ``hop`` (RATE questions a second, but only one at a time). An event is
due at its time whatever became of others; what is late counts from then. Topics ``ask`` and ``answer`` exist.
"""

import asyncio
import json
import statistics
import sys
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import KafkaBroker
from pydantic import BaseModel
from redis.asyncio import Redis

KEYS, TICK_S, STILL_S, MOST = 500, 0.002, 15.0, 500
ASK, ANSWER = "ask", "answer"
BLOCK_MS = 200


@dataclass
class Load:
    """What is asked for; ``warm`` is the number of the first event that is timed."""

    kind: str
    mode: str
    url: str
    rate: int
    seconds: float
    warm_s: float
    size: int

    @property
    def warm(self) -> int:
        return round(self.warm_s * self.rate)

    @property
    def total(self) -> int:
        return self.warm + round(self.seconds * self.rate)

    def body(self, number: int, due_ns: int) -> bytes:
        told = {"number": number, "due_ns": due_ns, "key": f"key_{number % KEYS:06d}"}
        return json.dumps(told | {"input": "x" * max(0, self.size - 70)}).encode()


class Asked(BaseModel):
    """What FastStream makes of a message."""

    number: int
    due_ns: int
    key: str
    input: str


class Book:
    """What a process handled: how late each timed event was, and how many there were."""

    def __init__(self, load: Load, count: Any, cpu: Any) -> None:
        self._load, self._count, self._cpu = load, count, cpu
        self.late_ns = array("q")
        self.handled = self.first_due_ns = self.last_ns = 0

    def take(self, number: int, due_ns: int) -> None:
        self.handled += 1
        if number >= self._load.warm:
            self.last_ns = time.monotonic_ns()
            self.late_ns.append(self.last_ns - due_ns)
            self.first_due_ns = min(self.first_due_ns or due_ns, due_ns)

    async def tell(self) -> None:
        while True:
            self._count.value, self._cpu.value = self.handled, time.process_time()
            await asyncio.sleep(0.05)

    def figures(self) -> dict[str, float]:
        took_s = (self.last_ns - self.first_due_ns) / 1e9
        return {"handled": self.handled, "per_s": round(len(self.late_ns) / max(took_s, 1e-9))} | spread(self.late_ns)


def spread(nanoseconds: Sequence[int]) -> dict[str, float]:
    if len(nanoseconds) < 2:
        return {}
    cuts = statistics.quantiles(nanoseconds, n=100, method="inclusive")
    return {name: round(cuts[at] / 1e6, 2) for name, at in (("p50_ms", 49), ("p99_ms", 98))}


Taker = Callable[[dict[str, Any]], None]
Send = Callable[[Sequence[tuple[str, bytes]]], Awaitable[None]]


@asynccontextmanager
async def kafka_sender(load: Load, topic: str) -> AsyncIterator[Send]:
    linger_ms = 0 if load.mode == "hop" else 2
    producer = AIOKafkaProducer(
        bootstrap_servers=load.url,
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=linger_ms,
        max_batch_size=131072,
    )
    await producer.start()

    async def send(messages: Sequence[tuple[str, bytes]]) -> None:
        await asyncio.gather(*[await producer.send(topic, body, key=key.encode()) for key, body in messages])

    yield send
    await producer.stop()


@asynccontextmanager
async def valkey_sender(load: Load, topic: str) -> AsyncIterator[Send]:
    async with Redis.from_url(load.url) as client:

        async def send(messages: Sequence[tuple[str, bytes]]) -> None:
            pipeline = client.pipeline(transaction=False)
            for key, body in messages:
                pipeline.xadd(topic, {"k": key, "v": body})
            await pipeline.execute()

        yield send


async def read_kafka(url: str, topic: str, take: Callable[[Sequence[bytes]], Awaitable[None]], ready: Any) -> None:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=url, group_id=f"bench.{topic}", auto_offset_reset="earliest")
    await consumer.start()
    ready()
    while True:
        for records in (await consumer.getmany(timeout_ms=BLOCK_MS)).values():
            await take([record.value for record in records])


async def read_valkey(url: str, topic: str, take: Callable[[Sequence[bytes]], Awaitable[None]], ready: Any) -> None:
    async with Redis.from_url(url) as client:
        await client.xgroup_create(topic, "bench", mkstream=True)
        ready()
        while True:
            for _, entries in await client.xreadgroup("bench", "me", {topic: ">"}, count=200, block=BLOCK_MS):
                await take([entry[1][b"v"] for entry in entries])
                await client.xack(topic, "bench", *[entry[0] for entry in entries])


async def handle_bare(load: Load, book: Book, ready: Any) -> None:
    valkey = load.kind == "valkey"
    async with (valkey_sender if valkey else kafka_sender)(load, ANSWER) as send:

        async def take(bodies: Sequence[bytes]) -> None:
            asked = [json.loads(body) for body in bodies]
            for told in asked:
                book.take(told["number"], told["due_ns"])
            if load.mode != "handled":
                await send([(told["key"], body) for told, body in zip(asked, bodies, strict=True)])

        await (read_valkey if valkey else read_kafka)(load.url, ASK, take, ready)


async def handle_faststream(load: Load, book: Book, ready: Any) -> None:
    linger_ms = 0 if load.mode == "hop" else 2
    broker = KafkaBroker(load.url, logger=None, enable_idempotence=True, compression_type="lz4", linger_ms=linger_ms)

    @broker.subscriber(ASK, group_id="bench.ask", auto_offset_reset="earliest")
    async def handle(asked: Asked) -> None:
        book.take(asked.number, asked.due_ns)
        if load.mode != "handled":
            await broker.publish(asked, ANSWER, key=asked.key.encode(), no_confirm=load.mode == "reply")

    async with broker:
        await broker.start()
        ready()
        await asyncio.Event().wait()


def worker(load: Load, ready: Any, stop: Any, count: Any, cpu: Any, told: Any) -> None:
    async def run() -> None:
        book = Book(load, count, cpu)
        handle = handle_faststream if load.kind == "faststream" else handle_bare
        tasks = [asyncio.create_task(book.tell()), asyncio.create_task(handle(load, book, ready.set))]
        while not stop.is_set():
            if tasks[1].done():
                tasks[1].result()
            await asyncio.sleep(0.05)
        told.put(book.figures())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    uvloop.run(run())


class Driver:
    """Sends what is due, and hears the answers."""

    def __init__(self, load: Load, send: Send, book: Book, handled: Any) -> None:
        self._load, self._send, self._book, self._handled = load, send, book, handled
        self._answers: asyncio.Queue[int] = asyncio.Queue()

    async def hear(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            told = json.loads(body)
            self._book.take(told["number"], told["due_ns"])
            self._answers.put_nowait(told["number"])

    async def open_loop(self) -> None:
        load, issued, sending = self._load, 0, set[asyncio.Task[None]]()
        start_ns = time.monotonic_ns()
        while issued < load.total:
            due = min(load.total, (time.monotonic_ns() - start_ns) * load.rate // 1_000_000_000 + 1)
            while issued < due:
                numbers = range(issued, min(due, issued + MOST))
                issued = numbers.stop
                bodies = [(number, start_ns + number * 1_000_000_000 // load.rate) for number in numbers]
                messages = [(f"key_{number % KEYS:06d}", load.body(number, at_ns)) for number, at_ns in bodies]
                task = asyncio.create_task(self._send(messages))
                sending.add(task)
                task.add_done_callback(sending.discard)
                if len(sending) > 32:
                    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*sending)

    async def drained(self) -> None:
        seen, moved = -1, time.monotonic()
        while (done := self._done()) < self._load.total and time.monotonic() - moved < STILL_S:
            if done != seen:
                seen, moved = done, time.monotonic()
            await asyncio.sleep(0.05)

    def _done(self) -> int:
        return self._book.handled if self._load.mode == "reply" else self._handled.value

    async def one_by_one(self) -> None:
        start_s, number = time.monotonic(), 0
        while time.monotonic() < start_s + self._load.seconds:
            await asyncio.sleep(start_s + number / self._load.rate - time.monotonic())
            await self._send([(f"key_{number % KEYS:06d}", self._load.body(number, time.monotonic_ns()))])
            async with asyncio.timeout(STILL_S):
                while await self._answers.get() != number:
                    pass
            number += 1


async def drive(load: Load, count: Any, cpu: Any) -> tuple[dict[str, float], dict[str, float]]:
    valkey, ready = load.kind == "valkey", asyncio.Event()
    book = Book(load, get_context("spawn").Value("q", 0), get_context("spawn").Value("d", 0.0))
    async with (valkey_sender if valkey else kafka_sender)(load, ASK) as send:
        driver = Driver(load, send, book, count)
        hearing = None
        if load.mode != "handled":
            read = read_valkey if valkey else read_kafka
            hearing = asyncio.create_task(read(load.url, ANSWER, driver.hear, ready.set))
            await ready.wait()
        own, workers = time.process_time(), cpu.value
        if load.mode == "hop":
            await driver.one_by_one()
        else:
            await driver.open_loop()
            await driver.drained()
        spent = {"driver": time.process_time() - own, "worker": cpu.value - workers}
        while hearing is not None and not hearing.done():
            # More than once: the client's own retries may swallow it.
            hearing.cancel()
            await asyncio.wait([hearing], timeout=0.2)
    return book.figures() if load.mode != "handled" else {}, spent


def main() -> None:
    kind, mode, url, rate, seconds, warm_s, size = sys.argv[1:]
    load = Load(kind, mode, url, int(rate), float(seconds), float(warm_s), int(size))
    context = get_context("spawn")
    ready, stop = context.Event(), context.Event()
    count, cpu, told = context.Value("q", 0), context.Value("d", 0.0), context.Queue()
    process = context.Process(target=worker, args=(load, ready, stop, count, cpu, told), daemon=True)
    process.start()
    if not ready.wait(60):
        raise SystemExit("The worker is not ready.")
    replies, spent = uvloop.run(drive(load, count, cpu))
    stop.set()
    asks = told.get(timeout=30)
    process.join(30)
    events = max(1, asks["handled"])
    cpu_us = {name: round(value / events * 1e6, 1) for name, value in spent.items()}
    print(json.dumps({"ask": asks, "reply": replies, "cpu_us": cpu_us}))


if __name__ == "__main__":
    main()
