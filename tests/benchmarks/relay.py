"""How fast the outbox is emptied: on each database, to each bus, beside the same messages without an outbox.

The outbox is filled first; then one relay reads, publishes and marks, in one process, until nothing waits.
``python -m tests.benchmarks.relay [--events 50000]`` prints one line of JSON. The floor is `Bus.publish` of the same
messages in batches of the same size, from memory. Target: 20,000 events a second.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import insert
from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.adapters.kafka.bus import KafkaBus
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.ports import Bus, Message
from backend.foundation.bus.repository import OUTBOX
from backend.foundation.bus.service import BusService
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import TenantId
from backend.foundation.live.service import Live
from tests.benchmarks.stand import tell
from tests.fixtures.kafka import kafka_server
from tests.fixtures.postgres import PostgresServer, run_postgres
from tests.fixtures.valkey import PrivateValkey

_KEYS = 500
_CHUNK, _BATCH = 5_000, 500
_TARGET_PER_S = 20_000


@dataclass(frozen=True)
class _Servers:
    """Those that a relay stands on, and a folder for SQLite."""

    folder: Path
    postgres: PostgresServer
    valkey: str
    kafka: str

    def database(self, kind: str, name: str) -> SqlDatabase:
        if kind == "sqlite":
            return SqlDatabase(f"sqlite:///{self.folder / name}.db")
        self.postgres.run("createdb", "-O", "autoweave", name)
        return SqlDatabase(self.postgres.url(name))

    def bus(self, kind: str, name: str) -> Bus:
        return (
            ValkeyBus(self.valkey, namespace=name) if kind == "valkey" else KafkaBus(self.kafka, namespace=f"{name}.")
        )


def _event(number: int) -> Event:
    key = f"thr_{number % _KEYS}"
    data = StartRun(agent="greeter", input=f"question {number} " + "x" * 200, thread=key)
    return Event(type="agents.start_run.v1", tenant=TenantId("ten_bench"), key=key, source="/bench", data=data)


async def _fill(db: SqlDatabase, service: BusService, events: int) -> None:
    rows = service.outbox_values([_event(number) for number in range(events)])
    async with db.system_write() as session:
        for first in range(0, events, _CHUNK):
            await session.execute(insert(OUTBOX), rows[first : first + _CHUNK])


async def _relayed(db: SqlDatabase, service: BusService, events: int) -> dict[str, float]:
    await _fill(db, service, events)
    began, cpu = time.perf_counter(), time.process_time()
    relay = asyncio.create_task(service.run_relay())
    while (await service.outbox()).waiting:  # noqa: ASYNC110 - polled: a signal each event would be part of the figure
        await asyncio.sleep(0.02)
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    relay.cancel()
    await asyncio.wait([relay])
    return {"per_s": round(events / took), "cpu_us": round(spent / events * 1e6, 1)}


async def _bare(bus: Bus, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    messages = [Message(row["topic"], row["key"], row["headers"], row["value"].encode()) for row in rows]
    began = time.perf_counter()
    for first in range(0, len(messages), _BATCH):
        results = await bus.publish(messages[first : first + _BATCH])
        assert not any(results)
    return {"per_s": round(len(messages) / (time.perf_counter() - began))}


async def _measure(servers: _Servers, database: str, kind: str, events: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        name = f"{database}_{kind}"
        bus, db, live = servers.bus(kind, name), servers.database(database, name), Live(ValkeyLive(servers.valkey))
        stack.push_async_callback(live.close)
        stack.push_async_callback(db.close)
        async with db.engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        service = BusService(bus, db, live)
        await service.start()
        stack.push_async_callback(service.close)
        # The first thousands pay for Java's compilation, and for plans and buffers of the database.
        await _relayed(db, service, events // 2)
        figures: dict[str, Any] = await _relayed(db, service, events)
        rows = service.outbox_values([_event(number) for number in range(events)])
        return figures | {"floor_publish_alone": await _bare(bus, rows)}


@contextmanager
def _servers() -> Iterator[_Servers]:
    with tempfile.TemporaryDirectory(prefix="aw-relay-") as name, run_postgres(durable=True) as postgres:
        folder = Path(name)
        (folder / "valkey").mkdir()
        valkey, kafka = PrivateValkey(folder / "valkey"), kafka_server.KafkaServer(folder / "kafka", heap="1g")
        valkey.start()
        kafka.start()
        try:
            yield _Servers(folder, postgres, valkey.url, kafka.url)
        finally:
            kafka.stop()
            valkey.kill()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the relay of the outbox.")
    parser.add_argument("--events", type=int, default=50_000)
    events: int = parser.parse_args().events
    figures: dict[str, Any] = {"events": events, "target_per_s": _TARGET_PER_S}
    with _servers() as servers:
        for database in ("sqlite", "postgresql"):
            for kind in ("valkey", "kafka"):
                figures[f"{database}_{kind}"] = uvloop.run(_measure(servers, database, kind, events))
    tell("relay", figures)


if __name__ == "__main__":
    main()
