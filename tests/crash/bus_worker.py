"""A worker process that relays the outbox and answers each event, or does something slow at each.

``python -m tests.crash.bus_worker <URL of Valkey> <URL of the database> [where slow effects are counted | clean]``.
"""

import asyncio
import os
import sys
import urllib.request

from sqlalchemy.ext.asyncio import AsyncSession

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.bus import ValkeyBus
from backend.adapters.valkey.live import ValkeyLive
from backend.foundation.bus.service import BusService
from backend.foundation.bus.service.cleaning import clean
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import RunFinished, StartRun
from backend.foundation.kernel import failpoints
from backend.foundation.live.service import Live

ASK, ANSWER = "agents.start_run.v1", "flows.run_finished.v1"


async def main(valkey: str, database: str, effects: str = "") -> None:
    failpoints.arm(os.environ.get("AUTOWEAVE_FAILPOINTS", ""))
    if effects == "clean":
        await clean(SqlDatabase(database), sent_ms=0, seen_ms=0)
        return
    bus = BusService(ValkeyBus(valkey), SqlDatabase(database), Live(ValkeyLive(valkey)), member="worker")
    await bus.start()

    async def answer(session: AsyncSession, event: Event) -> None:
        assert isinstance(event.data, StartRun)
        data = RunFinished(
            run=event.id,
            agent="a",
            thread=event.key,
            trigger=event.id,
            source="event",
            status="SUCCEEDED",
            output=event.data.input,
        )
        await bus.publish(session, Event(type=ANSWER, tenant=event.tenant, key=event.key, source="/flows", data=data))

    async def count(event: Event) -> None:
        request = urllib.request.Request(f"{effects}/_effects/{event.id}", method="POST")
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=5)

    if effects:
        await bus.subscribe_slow("slow", {ASK: count})
    else:
        await bus.subscribe("answerer", {ASK: answer})
    print("ready", flush=True)
    await bus.run_relay()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
