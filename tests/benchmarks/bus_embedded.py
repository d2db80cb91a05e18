"""How fast the embedded bus is: Valkey and SQLite, one process that asks and one that answers, on one machine.

A round trip is: encode, publish, decode and validate, deduplicate by the inbox and answer through the outbox in one
transaction, relay, and be seen and decoded by the asker. ``python -m tests.benchmarks.bus_embedded [--seconds 5]``
prints one line of JSON. The floor is a bare XADD and XREADGROUP loop that does nothing of it. Targets: 5,000 round
trips a second, and a p99 below 50 ms at 1,000 a second.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

import uvloop
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import decode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel.ids import TenantId
from backend.foundation.live.service import Live
from tests.benchmarks.stand import spread, tell
from tests.fixtures.valkey import PrivateValkey

_ASK, _ANSWER = "agents.start_run.v1", "flows.run_finished.v1"
_KEYS = 500
# Below what a watcher keeps for a reader that falls behind: it drops the oldest, and the asker would wait for ever.
_WINDOW = 1_800
_TARGETS = {"saturated_per_s": 5_000, "open_loop_1000_p99_ms": 50}


class _Signals:
    """What the asking process and the worker tell each other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.ready = context.Event()
        self.stop = context.Event()
        self.cpu_s = context.Value("d", 0.0)


class _Cpu:
    """Microseconds of CPU that each of the three processes spends for a round trip, whatever else the machine does."""

    def __init__(self, url: str, signals: _Signals) -> None:
        self._url = url
        self._signals = signals
        self._before: dict[str, float] = {}

    async def start(self) -> None:
        self._before = await self._seconds()

    async def figures(self, round_trips: int) -> dict[str, dict[str, float]]:
        await asyncio.sleep(0.1)
        spent = {name: value - self._before[name] for name, value in (await self._seconds()).items()}
        return {"cpu_us": {name: round(value / round_trips * 1e6, 1) for name, value in spent.items()}}

    async def _seconds(self) -> dict[str, float]:
        async with Redis.from_url(self._url) as client:
            facts = await client.info("cpu")
        valkey = facts["used_cpu_user"] + facts["used_cpu_sys"]
        return {"asker": time.process_time(), "worker": self._signals.cpu_s.value, "valkey": valkey}


def _service(url: str, database: str) -> tuple[BusService, SqlDatabase, Live]:
    db, live = SqlDatabase(database), Live(ValkeyLive(url))
    return BusService(ValkeyBus(url), db, live), db, live


async def _answer(session: AsyncSession, event: Event, bus: BusService) -> None:
    assert isinstance(event.data, StartRun)
    data = RunFinished(
        run=event.id,
        agent=event.data.agent,
        thread=event.data.thread,
        trigger=event.id,
        source="event",
        status="SUCCEEDED",
        output=event.data.input,
    )
    await bus.publish(
        session, Event(type=_ANSWER, tenant=event.tenant, key=event.key, source="/flows", subject=event.id, data=data)
    )


async def _work(url: str, database: str, signals: _Signals) -> None:
    bus, db, live = _service(url, database)
    await bus.start()
    await bus.subscribe("bench", {_ASK: lambda session, event: _answer(session, event, bus)})
    relay = asyncio.create_task(bus.run_relay())
    signals.ready.set()
    while not signals.stop.is_set():
        signals.cpu_s.value = time.process_time()
        await asyncio.sleep(0.02)
    relay.cancel()
    await asyncio.wait([relay])
    await bus.close()
    await live.close()
    await db.close()


def _worker(url: str, database: str, signals: _Signals) -> None:
    uvloop.run(_work(url, database, signals))


def _ask(number: int) -> Event:
    key = f"thr_{number % _KEYS}"
    data = StartRun(agent="greeter", input=f"question {number} " + "x" * 100, thread=key)
    return Event(type=_ASK, tenant=TenantId("ten_bench"), key=key, source="/bench", data=data)


class _Asker:
    """Asks, watches for the answers, and remembers how long each took."""

    def __init__(self, bus: BusService) -> None:
        self._bus = bus
        self._asked: dict[str, float] = {}
        self.seconds: list[float] = []

    @property
    def open(self) -> int:
        return len(self._asked)

    async def hear(self) -> None:
        async with self._bus.watch(_ANSWER) as answers:
            async for delivery in answers:
                message = delivery.message
                data = decode(message.headers, message.value, message.key).data
                assert isinstance(data, RunFinished)
                asked = self._asked.pop(data.trigger, None)
                if asked is not None:
                    self.seconds.append(time.perf_counter() - asked)

    async def ask(self, first: int, count: int) -> None:
        events = [_ask(number) for number in range(first, first + count)]
        now = time.perf_counter()
        for event in events:
            self._asked[event.id] = now
        await self._bus.emit(*events)

    async def answered(self, below: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.open >= below:  # noqa: ASYNC110 - polled: a signal each event would be part of the figure
                await asyncio.sleep(0.001)


async def _saturated(asker: _Asker, seconds: float) -> dict[str, float]:
    started, number = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        await asker.answered(_WINDOW)
        await asker.ask(number, 100)
        number += 100
    await asker.answered()
    took = time.perf_counter() - started
    return {"round_trips": number, "per_s": round(number / took)} | spread(asker.seconds)


async def _open_loop(asker: _Asker, seconds: float, rate: int) -> dict[str, float]:
    """Ask at a fixed rate, whatever the answers do; a question counts from when it was due."""
    started, asking = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(int(seconds * rate)):
        due = started + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(asker.ask(number, 1))
        asking.add(task)
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    await asker.answered()
    took = time.perf_counter() - started
    return {"asked": int(seconds * rate), "per_s": round(seconds * rate / took)} | spread(asker.seconds)


async def _bare(url: str, seconds: float) -> dict[str, float]:
    """The floor: the same two streams' worth of messages by XADD and XREADGROUP, without any promise."""
    client = Redis.from_url(url)
    await client.xgroup_create("bare", "g", mkstream=True)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        pipeline = client.pipeline(transaction=False)
        for _ in range(100):
            pipeline.xadd("bare", {"k": "key", "h": "x" * 250, "v": "y" * 150})
        await pipeline.execute()
        [[_, entries]] = await client.xreadgroup("g", "me", {"bare": ">"}, count=100)
        await client.xack("bare", "g", *[entry[0] for entry in entries])
        count += len(entries)
    took = time.perf_counter() - started
    await client.aclose()
    return {"messages": count, "per_s": round(count / took)}


async def _measure(url: str, database: str, seconds: float, signals: _Signals) -> dict[str, object]:
    bus, db, live = _service(url, database)
    await bus.start()
    figures: dict[str, object] = {}
    for name, measure in (
        ("saturated", lambda asker: _saturated(asker, seconds)),
        ("open_loop_1000", lambda asker: _open_loop(asker, seconds, 1000)),
    ):
        asker = _Asker(bus)
        hearing = asyncio.create_task(asker.hear())
        await asyncio.sleep(0.2)
        cpu = _Cpu(url, signals)
        await cpu.start()
        figures[name] = await measure(asker) | await cpu.figures(len(asker.seconds))
        hearing.cancel()
        await asyncio.wait([hearing])
    figures["floor_bare_xadd_xreadgroup"] = await _bare(url, min(seconds, 2))
    await bus.close()
    await live.close()
    await db.close()
    return figures


async def _prepare(database: str) -> None:
    db = SqlDatabase(database)
    async with db.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await db.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the embedded bus.")
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        server = PrivateValkey(Path(folder))
        server.start()
        database = f"sqlite:///{folder}/bench.db"
        asyncio.run(_prepare(database))
        signals = _Signals()
        worker = multiprocessing.get_context("spawn").Process(target=_worker, args=(server.url, database, signals))
        worker.start()
        try:
            signals.ready.wait(30)
            figures = uvloop.run(_measure(server.url, database, seconds, signals))
        finally:
            signals.stop.set()
            worker.join(20)
            server.kill()
    tell("bus_embedded", {"seconds": seconds, **figures, "targets": _TARGETS})


if __name__ == "__main__":
    main()
