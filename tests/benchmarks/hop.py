"""How long a question and its answer take over the bus, fifty a second: what a call between agents costs.

The product asks by `BusService.emit` and hears answers by `watch`; another process handles the question without a
transaction and emits the answer (``emit``), or in one, with the inbox and an answer through the outbox (``outbox``).
The floors are bare loops with the same clients (`peers.mesh_loop`). ``python -m tests.benchmarks.hop [--seconds 5]``
prints one line of JSON. Target: p50 below 3 ms on either bus.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from typing import Any

import uvloop
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.adapters.kafka.bus import KafkaBus
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.cli.bench.load import ASK, REPLY, Load, reply_to
from backend.foundation.bus.service import BusService
from backend.foundation.events.codec import decode
from backend.foundation.events.envelope import Event
from backend.foundation.live.service import Live
from tests.benchmarks.mesh import broker, loop_beside
from tests.benchmarks.stand import spread, tell

_LOAD = Load(rate=1, seconds=1)
_RATE, _WARM_S, _PATIENCE_S = 50, 1.5, 30.0


def _service(kind: str, name: str, urls: dict[str, str]) -> tuple[BusService, SqlDatabase, Live]:
    db, live = SqlDatabase(urls["database"] + f"/{kind}{name}.db"), Live(ValkeyLive(urls["valkey"]))
    bus = ValkeyBus(urls["valkey"], namespace=name) if kind == "valkey" else KafkaBus(urls["kafka"], namespace=name)
    return BusService(bus, db, live), db, live


async def _answer(kind: str, name: str, urls: dict[str, str], signals: tuple[Any, Any]) -> None:
    bus, db, live = _service(kind, name, urls)
    await bus.start()

    async def emit(event: Event) -> None:
        await bus.emit(reply_to(event))

    async def publish(session: AsyncSession, event: Event) -> None:
        await bus.publish(session, reply_to(event))

    relay = asyncio.create_task(bus.run_relay())
    await (bus.subscribe_slow("hop", {ASK: emit}) if name == "emit" else bus.subscribe("hop", {ASK: publish}))
    ready, stop = signals
    ready.set()
    await asyncio.to_thread(stop.wait)
    relay.cancel()
    await asyncio.wait([relay])
    await bus.close()
    await live.close()
    await db.close()


def _answering(kind: str, name: str, urls: dict[str, str], signals: tuple[Any, Any]) -> None:
    uvloop.run(_answer(kind, name, urls, signals))


async def _ask(kind: str, name: str, urls: dict[str, str], seconds: float) -> dict[str, float]:
    bus, db, live = _service(kind, name, urls)
    await bus.start()
    took: list[float] = []
    async with bus.watch(REPLY) as answers:
        heard, begun = aiter(answers), time.perf_counter()
        for number in range(round((_WARM_S + seconds) * _RATE)):
            await asyncio.sleep(begun + number / _RATE - time.perf_counter())
            now = time.perf_counter()
            await bus.emit(_LOAD.event(number))
            async with asyncio.timeout(_PATIENCE_S):
                message = (await anext(heard)).message
            assert decode(message.headers, message.value, message.key).subject == str(number)
            took.append(time.perf_counter() - now)
    await bus.close()
    await live.close()
    await db.close()
    return {"hops": len(took)} | spread(took[round(_WARM_S * _RATE) :])


async def _prepare(kind: str, name: str, urls: dict[str, str]) -> None:
    bus, db, live = _service(kind, name, urls)
    async with db.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await bus.start()
    await bus.close()
    await live.close()
    await db.close()


def _measured(kind: str, name: str, urls: dict[str, str], seconds: float) -> dict[str, float]:
    uvloop.run(_prepare(kind, name, urls))
    context = multiprocessing.get_context("spawn")
    signals = context.Event(), context.Event()
    worker = context.Process(target=_answering, args=(kind, name, urls, signals), daemon=True)
    worker.start()
    try:
        if not signals[0].wait(_PATIENCE_S):
            raise SystemExit("The process that answers is not ready.")
        return uvloop.run(_ask(kind, name, urls, seconds))
    finally:
        signals[1].set()
        worker.join(_PATIENCE_S)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure a question and its answer.")
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds: float = parser.parse_args().seconds
    figures: dict[str, Any] = {"seconds": seconds, "rate": _RATE, "target": "p50 < 3 ms"}
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        broker("valkey") as valkey,
        broker("kafka") as kafka,
    ):
        urls = {"database": f"sqlite:///{folder}", "valkey": valkey.url, "kafka": kafka.url}
        for kind in ("valkey", "kafka"):
            figures[kind] = {name: _measured(kind, name, urls, seconds) for name in ("emit", "outbox")}
    for kind in ("valkey", "aiokafka", "faststream"):
        figures[f"floor_{kind}"] = loop_beside(kind, "hop", _RATE, seconds)["reply"]
    tell("hop", figures)


if __name__ == "__main__":
    main()
