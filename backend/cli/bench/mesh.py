"""The first process of a load: starts the others, watches them, and counts at the end."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.context import SpawnProcess
from queue import Empty
from typing import Any

from backend.bootstrap.outside import open_bus
from backend.bootstrap.settings import Settings
from backend.cli.bench.figures import Outcome, Rows, outcome
from backend.cli.bench.load import ASKER, HANDLER, Load, Mode, Sent, Taken
from backend.cli.bench.place import Place, clear, own_place, seconds_of
from backend.cli.bench.roles import DRIVER, WORKER, Wires, run_role
from backend.foundation.bus.ports import Bus
from backend.foundation.bus.rules import group_of
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.telemetry.logs import configure_logs

_READY_S = 60.0
_STILL_S = 15.0
_REPORT_S = 30.0
_LOOK_S = 0.05
_TELL_S = 1.0
BROKER = "broker"


def run_mesh(settings: Settings, load: Load, *, broker: int = 0) -> Outcome:
    """Run a load on the bus of the settings and return its figures; what it made is deleted, however it ends.

    Args:
        settings: name the bus; its own name space, database and, where no Redis is set, Valkey are made for it.
        load: what is sent.
        broker: process id of the broker, where it runs on this machine and its CPU shall be told.

    Raises:
        Unavailable: the broker does not answer, or a process of the load ended early.
    """
    configure_logs(format=settings.log_format, service="bench", level="error")
    with own_place(settings) as place:
        own = 0 if settings.bus_url else place.valkey
        return asyncio.run(_cleared(place, load, broker or own))


async def _cleared(place: Place, load: Load, broker: int) -> Outcome:
    bus = open_bus(place.settings)
    try:
        await bus.start()
        try:
            return await _Run(place, load, broker, bus).run()
        finally:
            await clear(bus, HANDLER, ASKER)
    finally:
        await bus.close()


class _Run:
    def __init__(self, place: Place, load: Load, broker: int, bus: Bus) -> None:
        self._place = place
        self._bus = bus
        self._load = load
        self._broker = broker
        self._wires = Wires()
        self._consumers = (HANDLER, ASKER) if load.mode is Mode.REPLY else (HANDLER,)
        self._asked_to_end = 0
        self._processes: dict[str, SpawnProcess] = {}

    async def run(self) -> Outcome:
        async with self._started():
            return await self._measure()

    async def _measure(self) -> Outcome:
        wires = self._wires
        await self._until(lambda: all(ready.is_set() for ready in wires.ready.values()), _READY_S, "is not ready")
        wires.go.set()
        await self._until(lambda: wires.start_ns.value > 0, _READY_S, "does not start")
        timed_ns = wires.start_ns.value + self._load.due_ns(self._load.warm)
        telling = asyncio.create_task(self._tell())
        try:
            await self._until(lambda: time.monotonic_ns() >= timed_ns or wires.enough.is_set(), None, "")
            before = self._cpu_s()
            await self._until(wires.all_sent.is_set, None, "")
            lag = await self._drained()
            after = self._cpu_s()
        finally:
            telling.cancel()
            await asyncio.wait([telling])
        wires.stop.set()
        reports = await self._reports()
        (replied, sent), (handled, rows) = reports[DRIVER], reports[WORKER]
        return outcome(
            self._load,
            sent,
            handled,
            replied,
            bus="Kafka" if self._place.settings.bus_url else "embedded bus",
            cpu_s={name: after[name] - before[name] for name in after},
            rows=Rows(lag=lag, **rows),
            interrupted=self._asked_to_end > 0,
        )

    async def _drained(self) -> int:
        """Return the lag once all that was confirmed is handled, or when nothing has moved for some time."""
        wires, moved, seen = self._wires, time.monotonic(), -1
        taken = wires.taken[DRIVER if self._load.mode is Mode.REPLY else WORKER]
        while True:
            self._look()
            lag = await self._lag()
            if lag + taken.value != seen:
                seen, moved = lag + taken.value, time.monotonic()
            done = taken.value >= wires.tried.value - wires.failed.value and lag == 0
            if done or time.monotonic() - moved > _STILL_S or self._asked_to_end > 1:
                return lag
            await asyncio.sleep(_LOOK_S)

    async def _lag(self) -> int:
        lags = [await self._bus.lag(group_of(name)) for name in self._consumers]
        return sum(count for lag in lags for count in lag.values())

    async def _tell(self) -> None:
        """Say each second how it goes, on standard error: standard output is for the figures."""
        wires, begun, before, last = self._wires, time.monotonic(), 0, time.monotonic()
        while True:
            await asyncio.sleep(_TELL_S)
            try:
                lag = f"{await self._lag():,}"
            except Unavailable:
                lag = "unknown"
            tried, handled, now = wires.tried.value, wires.taken[WORKER].value, time.monotonic()
            replied = f"  replied {wires.taken[DRIVER].value:,}" if self._load.mode is Mode.REPLY else ""
            print(
                f"{now - begun:5.0f} s  sent {tried:,} ({(tried - before) / (now - last):,.0f}/s)  handled {handled:,}"
                f"{replied}  lag {lag}",
                file=sys.stderr,
                flush=True,
            )
            before, last = tried, now

    async def _reports(self) -> dict[str, tuple[Taken, Any]]:
        """Return what each process saw, by its name: what it handled, and its own facts."""
        found: dict[str, tuple[Taken, Sent | Mapping[str, Any]]] = {}
        deadline = time.monotonic() + _REPORT_S
        while len(found) < len(self._processes):
            try:
                role, taken, facts = await asyncio.to_thread(self._wires.reports.get, timeout=_TELL_S)
            except Empty:
                self._look(ended_well=True)
                if time.monotonic() > deadline:
                    raise Unavailable("A process of the load does not tell its figures.") from None
            else:
                found[role] = (taken, facts)
        return found

    @asynccontextmanager
    async def _started(self) -> AsyncGenerator[None]:
        wires, loop = self._wires, asyncio.get_running_loop()
        # Ignored already when they begin, so that a Ctrl-C during their start ends none of them alone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for role in (WORKER, DRIVER):
            process = wires.context.Process(
                target=run_role, args=(role, self._place.settings, self._load, wires), name=role, daemon=True
            )
            process.start()
            self._processes[role] = process
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            wires.stop.set()
            await asyncio.gather(*(asyncio.to_thread(partial(_end, each)) for each in self._processes.values()))
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _end(self) -> None:
        self._asked_to_end += 1
        self._wires.enough.set()

    async def _until(self, condition: Any, deadline_s: float | None, words: str) -> None:
        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        while not condition():
            self._look()
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable(f"The load {words}.")
            await asyncio.sleep(_LOOK_S)

    def _look(self, *, ended_well: bool = False) -> None:
        for role, process in self._processes.items():
            if process.exitcode is not None and not (ended_well and process.exitcode == 0):
                raise Unavailable(f"The {role} ended early, with {process.exitcode}.", hint="See what it said above.")
        if self._asked_to_end and not self._wires.go.is_set():
            raise KeyboardInterrupt

    def _cpu_s(self) -> dict[str, float]:
        spent = {role: float(value.value) for role, value in self._wires.cpu_s.items()}
        return spent | ({BROKER: seconds_of(self._broker)} if self._broker else {})


def _end(process: SpawnProcess) -> None:
    process.join(_STILL_S)
    if process.exitcode is None:
        process.kill()
        process.join()
