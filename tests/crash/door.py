"""A process that is asked for one verb, as a door would, and may be killed in the middle of it.

``python -m tests.crash.door <tenant> <verb> <argument>``; failpoints are armed only for the verb itself.
"""

import asyncio
import os
import sys

from backend.app import Backend
from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_built
from backend.domain.webhooks.service.cleaning import clean
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel import failpoints
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.ids import TenantId, ThreadId
from tests.crash.stand import person

KEY = "only-once"


def asked(tenant: TenantId) -> Event:
    """Return the event that the verb ``emit`` sends, the same each time."""
    data = StartRun(agent="concierge", input="hello")
    return Event(type="agents.start_run.v1", tenant=tenant, key="k", source="/test", id=f"evt_{KEY}", data=data)


async def main(tenant: TenantId, verb: str, argument: str) -> None:
    """Open the rooms, do it, say what came of it."""
    points = os.environ.pop("AUTOWEAVE_FAILPOINTS", "")
    caller = person(tenant)
    async with open_built(load({}), (), "door") as built:
        backend = built.backend
        failpoints.arm(points)
        if verb == "run":
            await backend.agents.run(caller, "concierge", input="hello", idempotency_key=KEY)
        elif verb == "send":
            await backend.chat.send(caller, thread=None, agent="concierge", text="hello", client_id=KEY)
        elif verb == "write":
            thread, _, text = argument.partition(" ")
            await backend.chat.send(caller, thread=ThreadId(thread), agent="concierge", text=text)
        elif verb == "cancel":
            await backend.flows.cancel(caller, argument)
        elif verb == "replay":
            letter, _, payload = argument.partition(" ")
            await backend.dead_letters.replay(caller, int(letter), payload=payload)
        elif verb == "discard":
            await backend.dead_letters.discard(caller, [int(argument)], reason="because")
        elif verb == "emit":
            await backend.bus.start()
            await backend.bus.emit(asked(tenant))
        elif verb.startswith("webhook-"):
            await _webhook(backend, caller, verb.removeprefix("webhook-"), argument)


async def _webhook(backend: Backend, caller: Caller, verb: str, argument: str) -> None:
    if verb == "create":
        await backend.webhooks.create(caller, url=argument, types=[])
    elif verb == "rotate":
        await backend.webhooks.rotate(caller, argument, keep_hours=24)
    elif verb == "redeliver":
        await backend.webhooks.redeliver(caller, argument)
    elif verb == "clean":
        await clean(backend.database)


if __name__ == "__main__":
    asyncio.run(main(TenantId(sys.argv[1]), sys.argv[2], (sys.argv[3:] or [""])[0]))
