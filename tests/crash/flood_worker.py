"""A worker of the installation that the environment names: it answers each event, and relays.

``python -m tests.crash.flood_worker`` prints ``ready`` when it takes events.
"""

import asyncio
import os

from sqlalchemy.ext.asyncio import AsyncSession

from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_built
from backend.cli.bench.load import reply_to
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.ids import new_id

ASK, CONSUMER = "agents.start_run.v1", "flood"


async def main() -> None:
    async with open_built(load({}, environ=dict(os.environ)), (), new_id("wrk")) as built:
        bus = built.backend.bus
        await bus.start()

        async def answer(session: AsyncSession, event: Event) -> None:
            await bus.publish(session, reply_to(event))

        await bus.subscribe(CONSUMER, {ASK: answer})
        print("ready", flush=True)
        await bus.run_relay()


if __name__ == "__main__":
    asyncio.run(main())
