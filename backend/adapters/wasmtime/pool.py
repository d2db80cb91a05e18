"""Children that wait for work, and calls that wait for children; both bounded."""

import asyncio
import logging
import time
from asyncio import Semaphore, Task
from collections.abc import AsyncGenerator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from backend.adapters.wasmtime.process import ChildProcess
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.foundation.kernel.errors import Unavailable

_log = logging.getLogger(__name__)


class Busy(Exception):
    """No child got free in time, or too many wait already; the text is for people."""


class Pool:
    """At most ``settings.children`` children, each lent to one call at a time.

    Attributes:
        waiting: calls that wait for a child.
        kills: children that were ended, or ended themselves, in the middle of a call.
        cause: why the last child did not start, empty when it did.
    """

    def __init__(self, settings: SandboxSettings, empty: Path) -> None:
        self._settings = settings
        self._empty = empty
        self._places = Semaphore(settings.children)
        self._idle: list[ChildProcess] = []
        self._lent: set[ChildProcess] = set()
        self.waiting = 0
        self._tasks: set[Task[None]] = set()
        self._closed = False
        self.kills = 0
        self.cause = ""

    @property
    def active(self) -> int:
        """How many calls hold a child now."""
        return len(self._lent)

    @property
    def children(self) -> int:
        """How many live."""
        return len(self._lent) + sum(child.alive for child in self._idle)

    def has(self, sha256: str) -> bool:
        """Whether some child has loaded the module."""
        return any(sha256 in child.loaded for child in (*self._idle, *self._lent))

    async def start(self) -> None:
        """Start the first child, unless one is there."""
        async with self.lend():
            pass

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[ChildProcess]:
        """Lend a child; whatever escapes from the block costs the child its life.

        Raises:
            Busy: see there.
            Unavailable: a child was needed and none could be started.
        """
        await self._place()
        with ExitStack() as undo:
            undo.callback(self._places.release)
            child = await self._child()
            undo.pop_all()
        self._lent.add(child)
        unharmed = False
        try:
            yield child
            unharmed = True
        finally:
            if unharmed:
                self._give_back(child)
            else:
                self.kills += 1
                self._later(self._replace(child))
            self._lent.discard(child)

    async def close(self) -> None:
        """End all children, those that are lent out too."""
        self._closed = True
        for child in tuple(self._lent):
            await child.end()
        for _ in range(self._settings.children):
            await self._places.acquire()
        while self._idle:
            await self._idle.pop().end()
        # Who waited is let in, to hear that there is nothing left.
        for _ in range(self._settings.children):
            self._places.release()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _place(self) -> None:
        if self._places.locked() and self.waiting >= self._settings.waiting:
            raise Busy(f"{self.waiting} calls wait for the sandbox already; try again in a moment.")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._settings.wait_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise Busy(f"The sandbox had no time for this within {self._settings.wait_s:g} s; try again.") from error
        finally:
            self.waiting -= 1

    async def _child(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._later(child.end())
        self._check_open()
        child = await self._start()
        try:
            self._check_open()
        except Unavailable:
            await child.end()
            raise
        return child

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The sandbox is shut down.")

    async def _start(self) -> ChildProcess:
        try:
            child = await ChildProcess.start(self._empty, self._settings.address_space)
        except Unavailable as error:
            self.cause = error.message
            raise
        self.cause = ""
        return child

    def _give_back(self, child: ChildProcess) -> None:
        if self._closed or self._worn_out(child):
            self._later(self._replace(child))
        else:
            self._idle.append(child)
            self._places.release()

    def _worn_out(self, child: ChildProcess) -> bool:
        settings = self._settings
        return (
            child.calls >= settings.recycle_calls
            or child.resident >= settings.recycle_memory
            or time.monotonic() - child.started >= settings.recycle_age_s
        )

    async def _replace(self, child: ChildProcess) -> None:
        """Put a fresh child into the place of one that is done for, then let the next call in."""
        try:
            await child.end()
            if not self._closed:
                self._idle.append(await self._start())
        except Unavailable as error:
            _log.warning("a child of the sandbox could not be replaced: %s", error.message)
        finally:
            self._places.release()

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
