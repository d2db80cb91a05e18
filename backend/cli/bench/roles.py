"""The two processes of a load: one that sends, and hears the replies, and one that handles."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing import get_context
from typing import Any

from backend.app import Backend
from backend.bootstrap.collector import spare_what_stays
from backend.bootstrap.parent import die_with_parent
from backend.bootstrap.settings import Settings
from backend.bootstrap.wiring import open_backend
from backend.cli.bench.load import ASK, ASKER, HANDLER, REPLY, TENANT, Load, Mode, Sent, Taken, reply_to
from backend.cli.report import report
from backend.cli.run import fast_loop
from backend.foundation.events.envelope import Event
from backend.foundation.kernel.caller import system_caller
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.work import after_commit
from backend.foundation.telemetry import span
from backend.foundation.telemetry.logs import configure_logs

DRIVER, WORKER = "driver", "worker"

_BEAT_S = 0.05
_TICK_S = 0.002
_LANES = 4
_MOST_AT_ONCE = 500
_LEAD_NS = 100_000_000
_NOTED = "bench"


class Wires:
    """What the processes tell each other while a load runs. Numbers are totals; CPU is in seconds."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.context = context
        self.ready = {name: context.Event() for name in (DRIVER, WORKER)}
        self.go, self.enough, self.all_sent, self.stop = (context.Event() for _ in range(4))
        self.start_ns, self.tried, self.failed = (context.Value("q", 0) for _ in range(3))
        self.taken = {name: context.Value("q", 0) for name in (DRIVER, WORKER)}
        self.cpu_s = {name: context.Value("d", 0.0) for name in (DRIVER, WORKER)}
        self.reports: Any = context.Queue()


class _Book:
    """Writes down what this process handled, once its transaction is committed."""

    def __init__(self) -> None:
        self.taken = Taken()

    def note(self, session: Any, event: Event) -> None:
        """Note an event of the session's transaction."""
        noted: list[tuple[int, int]] | None = session.info.get(_NOTED)
        if noted is None:
            noted = session.info[_NOTED] = []
            after_commit(session, partial(self._committed, noted))
        noted.append((int(event.subject), time.monotonic_ns()))

    def _committed(self, noted: list[tuple[int, int]]) -> None:
        now = time.monotonic_ns()
        for number, begun in noted:
            self.taken.numbers.append(number)
            self.taken.begun_ns.append(begun)
            self.taken.done_ns.append(now)


class _Driver:
    """Sends each event when it is due. A lane has one call at a time under way, so that a key keeps its order.

    What a slow broker has not taken yet waits here, with its due time: it is late, not left out.
    """

    def __init__(self, backend: Backend, load: Load, wires: Wires) -> None:
        self._bus = backend.bus
        self._load = load
        self._wires = wires
        self._waiting: list[deque[int]] = [deque() for _ in range(_LANES)]
        self._busy: dict[int, asyncio.Task[None]] = {}
        self.sent = Sent()

    async def run(self) -> None:
        load, wires = self._load, self._wires
        self.sent.start_ns = time.monotonic_ns() + _LEAD_NS
        wires.start_ns.value = self.sent.start_ns
        issued = 0
        while issued < load.total and not wires.enough.is_set():
            due = load.due(time.monotonic_ns() - self.sent.start_ns)
            for number in range(issued, due):
                self._waiting[number % load.keys % _LANES].append(number)
            issued = max(issued, due)
            self._fill_lanes()
            await asyncio.sleep(_TICK_S)
        if wires.enough.is_set():
            for lane in self._waiting:
                lane.clear()
        while self._busy:
            await asyncio.wait(self._busy.values())
            self._fill_lanes()
        wires.all_sent.set()

    def _fill_lanes(self) -> None:
        for number, waiting in enumerate(self._waiting):
            task = self._busy.get(number)
            if task is not None and task.done():
                del self._busy[number]
                task.result()
                task = None
            if waiting and task is None:
                self._busy[number] = asyncio.create_task(self._send(waiting))

    async def _send(self, waiting: deque[int]) -> None:
        while waiting:
            numbers = [waiting.popleft() for _ in range(min(len(waiting), _MOST_AT_ONCE))]
            self.sent.tried += len(numbers)
            try:
                with span("bench.send", tenant=TENANT, kind="producer", bulk=True):
                    await self._bus.emit(*map(self._load.event, numbers))
            except AutoWeaveError:
                self.sent.failed.extend(numbers)
            self._wires.tried.value, self._wires.failed.value = self.sent.tried, len(self.sent.failed)


def run_role(role: str, settings: Settings, load: Load, wires: Wires) -> None:
    """Be one of the two processes, until `Wires.stop`; what it saw is then in `Wires.reports`."""
    die_with_parent()
    # The first process hears Ctrl-C for all, and ends them in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs(format=settings.log_format, service="bench", level="error")
    work = _drive if role == DRIVER else _work
    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(_live(role, settings, load, wires, work))
    except AutoWeaveError as error:
        raise SystemExit(report(error)) from error


_Role = Callable[[Backend, Load, Wires, _Book], Awaitable[object]]


async def _live(role: str, settings: Settings, load: Load, wires: Wires, work: _Role) -> None:
    book = _Book()
    async with open_backend(settings, roles=()) as backend:
        await backend.bus.start()
        beating = asyncio.create_task(_beat(role, wires, book))
        wires.reports.put((role, book.taken, await work(backend, load, wires, book)))
        beating.cancel()


async def _beat(role: str, wires: Wires, book: _Book) -> None:
    while True:
        wires.cpu_s[role].value = time.process_time()
        wires.taken[role].value = len(book.taken.numbers)
        await asyncio.sleep(_BEAT_S)


async def _drive(backend: Backend, load: Load, wires: Wires, book: _Book) -> Sent:
    async def hear(session: Any, event: Event) -> None:
        book.note(session, event)

    if load.mode is Mode.REPLY:
        await backend.bus.subscribe(ASKER, {REPLY: hear})
    spare_what_stays()
    wires.ready[DRIVER].set()
    driver = _Driver(backend, load, wires)
    while not wires.go.is_set():  # noqa: ASYNC110 - set by another process
        await asyncio.sleep(_BEAT_S)
    await driver.run()
    await _stopped(wires)
    return driver.sent


async def _work(backend: Backend, load: Load, wires: Wires, book: _Book) -> dict[str, Any]:
    bus = backend.bus

    async def handle(session: Any, event: Event) -> None:
        book.note(session, event)

    async def answer(session: Any, event: Event) -> None:
        book.note(session, event)
        await bus.publish(session, reply_to(event))

    replies = load.mode is Mode.REPLY
    await bus.subscribe(HANDLER, {ASK: answer if replies else handle})
    relay = asyncio.create_task(bus.run_relay()) if replies else None
    spare_what_stays()
    wires.ready[WORKER].set()
    await _stopped(wires)
    dead = await backend.dead_letters.counts(system_caller(TENANT, "bench"))
    rows = {
        "inbox": await bus.done(*((HANDLER, ASKER) if replies else (HANDLER,))),
        "outbox_waiting": (await bus.outbox()).waiting,
        "dead_letters": sum(row.count for row in dead),
    }
    if relay is not None:
        relay.cancel()
        await asyncio.wait([relay])
    return rows


async def _stopped(wires: Wires) -> None:
    while not wires.stop.is_set():  # noqa: ASYNC110 - set by another process
        await asyncio.sleep(_BEAT_S)
