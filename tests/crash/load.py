"""People who write and programs that ask, all the time, while something is broken underneath."""

import asyncio
import contextlib

from backend.app import Backend
from backend.foundation.kernel.ids import TenantId, ThreadId
from tests.crash.ledger import count_of_runs, faults
from tests.crash.stand import person
from tests.fixtures.waiting import until

_PAUSE_S = 0.1
_LOOK_S = 0.3


class Load:
    """Writes into some conversations in turn, and asks for a run with each message; counts what was accepted."""

    def __init__(self, backend: Backend, tenant: TenantId, *, conversations: int = 5) -> None:
        self._backend = backend
        self._caller = person(tenant)
        self._threads: list[ThreadId | None] = [None] * conversations
        self._stopped = False
        self._task = asyncio.create_task(self._run())
        self.messages = 0
        self.runs = 0

    async def stop(self) -> None:
        """End it; raises what it raised."""
        self._stopped = True
        await self._task

    async def ended(self, deadline_s: float) -> list[str]:
        """Wait until all is as it must be; return what is not at the deadline."""
        with contextlib.suppress(TimeoutError):
            await until(self._exact, deadline_s)
        return await self._faults()

    async def _exact(self) -> bool:
        # Looked at seldom, for it reads everything.
        await asyncio.sleep(_LOOK_S)
        return not await self._faults()

    async def _faults(self) -> list[str]:
        found = await faults(self._backend.database)
        counted = await count_of_runs(self._backend.database)
        asked = self.messages + self.runs
        return found if counted == asked else [*found, f"{asked} were asked for, {counted} runs are there"]

    async def _run(self) -> None:
        backend, caller = self._backend, self._caller
        while not self._stopped:
            place = self.messages % len(self._threads)
            text = f"number {self.messages}"
            sent = await backend.chat.send(caller, thread=self._threads[place], agent="concierge", text=text)
            self._threads[place] = sent.thread
            self.messages += 1
            await backend.agents.run(caller, "concierge", input=f"run {self.runs}")
            self.runs += 1
            await asyncio.sleep(_PAUSE_S)
