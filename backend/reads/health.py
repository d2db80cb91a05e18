"""The state of every part, as Admin, Health shows it: asked side by side, each within two seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from backend.domain.models.service import Models
from backend.domain.tools.service import Tools
from backend.foundation.bus.service import BusService
from backend.foundation.bus.views import TopicDifference
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import AutoWeaveError
from backend.foundation.kernel.ports import Database
from backend.foundation.live.service import Live
from backend.foundation.telemetry.service import Telemetry
from backend.foundation.telemetry.views import ProcessView
from backend.reads.views import HealthView, PartHealth

_PATIENCE_S = 2.0
_LATELY_S = 600.0
_FEWER_SPANS = "Look at the database and its disk, or keep fewer traces of bulk events: AUTOWEAVE_TRACE_EVENTS."
_ROLES = {
    "agents": "It runs agents.",
    "relay": "It sends stored events to the bus.",
    "jobs": "It sends webhooks.",
}


class Losses:
    """Whether processes have lost spans lately: what they tell is how many since their start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, int] = {}
        self._until = 0.0

    def lately(self, lost: Mapping[str, int]) -> bool:
        """Return whether any process has lost more than it had, within the last ten minutes."""
        if any(count > self._known.get(process, 0) for process, count in lost.items()):
            self._until = self._clock() + _LATELY_S
        self._known = dict(lost)
        return self._clock() < self._until


class Health:
    """Asks every part; nothing here raises for a part that is down, it is what the page is for.

    ``serves`` says whether this process is one that serves pages.
    """

    def __init__(
        self,
        db: Database,
        live: Live,
        bus: BusService,
        models: Models,
        tools: Tools,
        telemetry: Telemetry,
        *,
        serves: bool = True,
    ) -> None:
        self._db = db
        self._live = live
        self._bus = bus
        self._models = models
        self._tools = tools
        self._telemetry = telemetry
        self._serves = serves
        self._losses = Losses()

    async def view(self, caller: Caller) -> HealthView:
        """Return all parts; needs ``health:read``."""
        caller.require(Permission.HEALTH_READ)
        return HealthView(parts=await self.parts(caller), checked_ms=time.time_ns() // 1_000_000)

    async def parts(self, caller: Caller) -> tuple[PartHealth, ...]:
        """Return all parts alone."""
        processes = await self._processes(caller)
        asked: list[tuple[str, str, Callable[[], Awaitable[PartHealth]]]] = [
            ("database", "Database", self._database),
            ("valkey", "Valkey", self._valkey),
            ("bus", "Event bus", self._bus_health),
            ("sandbox", "Sandbox", lambda: self._sandbox(processes)),
            ("model", "Model", self._model),
        ]
        answers = await asyncio.gather(*(_patiently(name, title, ask) for name, title, ask in asked))
        return (_web(processes, serves=self._serves), *_workers(processes), *answers, self._traces(processes))

    def _traces(self, processes: list[ProcessView]) -> PartHealth:
        own, alive = self._telemetry.health(), [process for process in processes if process.alive]
        lost = {process.id: int(process.figures.get("spans_dropped", 0)) for process in alive}
        waiting = sum(int(process.figures.get("spans_waiting", 0)) for process in alive)
        losing = self._losses.lately(lost)
        cause = own.cause or ("Spans came faster than the database took them." if losing else "")
        return PartHealth(
            name="telemetry",
            title="Traces",
            status="attention" if cause else "ok",
            detail="Some traces have gaps." if losing else "Spans are kept." if not cause else "Spans wait in memory.",
            cause=cause,
            fix=(own.fix or _FEWER_SPANS) if cause else "",
            figures=(("Waiting", f"{waiting:,}"), ("Dropped", f"{sum(lost.values()):,}")),
        )

    async def _processes(self, caller: Caller) -> list[ProcessView]:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._telemetry.processes(caller)
        except (AutoWeaveError, TimeoutError):
            return []

    async def _database(self) -> PartHealth:
        milliseconds = await self._db.ping()
        title = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self._db.dialect]
        return PartHealth(
            name="database",
            title="Database",
            status="ok",
            detail=f"{title} answers.",
            figures=(("Round trip", f"{milliseconds:.1f} ms"),),
        )

    async def _valkey(self) -> PartHealth:
        milliseconds = await self._live.ping()
        return PartHealth(
            name="valkey",
            title="Valkey",
            status="ok",
            detail="Live streams and page state.",
            figures=(("Round trip", f"{milliseconds:.1f} ms"),),
        )

    async def _bus_health(self) -> PartHealth:
        health = await self._bus.health()
        waiting = (await self._bus.outbox()).waiting
        status, cause, fix = "ok" if health.ok else "failed", health.cause, health.fix
        if health.ok and (found := await self._differences()):
            status, cause = "attention", f"Topics are not as the settings want them. {found[0].words}"
            fix = f"`autoweave bus topics` lists all {len(found)}; `{found[0].command}` changes it."
        return PartHealth(
            name="bus",
            title="Event bus",
            status=status,
            detail=health.detail,
            cause=cause,
            fix=fix,
            figures=(("Round trip", f"{health.latency_ms:.1f} ms"), ("To be sent", f"{waiting:,}")),
        )

    async def _differences(self) -> list[TopicDifference]:
        try:
            return await self._bus.differences()
        except AutoWeaveError:
            # Who may not ask how a topic is set may use it all the same.
            return []

    async def _sandbox(self, processes: list[ProcessView]) -> PartHealth:
        workers = [process for process in processes if "agents" in process.roles and process.alive]
        children = sum(int(process.figures.get("sandbox_children", 0)) for process in workers)
        calls = sum(int(process.figures.get("sandbox_calls", 0)) for process in workers)
        kills = sum(int(process.figures.get("sandbox_kills", 0)) for process in workers)
        if not children:
            return PartHealth(
                name="sandbox",
                title="Sandbox",
                status="failed",
                detail="Tools cannot run.",
                cause="No worker reports a sandbox child.",
                fix="Look at the workers' logs and start them again.",
            )
        return PartHealth(
            name="sandbox",
            title="Sandbox",
            status="ok",
            detail="Tools run apart from the server, one call a guest.",
            figures=(("Children", f"{children:,}"), ("Calls", f"{calls:,}"), ("Ended by a limit", f"{kills:,}")),
        )

    async def _model(self) -> PartHealth:
        health = await self._models.health()
        return PartHealth(
            name="model", title="Model", status=health.status, detail=health.detail, cause=health.cause, fix=health.fix
        )


async def _patiently(name: str, title: str, ask: Callable[[], Awaitable[PartHealth]]) -> PartHealth:
    try:
        async with asyncio.timeout(_PATIENCE_S + 0.5):
            return await ask()
    except AutoWeaveError as error:
        return PartHealth(
            name=name, title=title, status="failed", detail=error.message, cause=error.message, fix=error.hint
        )
    except TimeoutError:
        return PartHealth(
            name=name,
            title=title,
            status="failed",
            detail="No answer.",
            cause="It did not answer within 2 seconds.",
            fix="Look whether it runs and is reachable from here.",
        )


def _web(processes: list[ProcessView], *, serves: bool) -> PartHealth:
    alive = [process for process in processes if "web" in process.roles and process.alive]
    if not serves and not alive:
        return PartHealth(
            name="web",
            title="Web",
            status="failed",
            detail="No process of this role answers.",
            cause="None has given a sign of life within 15 seconds.",
            fix="Start one with `autoweave run web`.",
        )
    return PartHealth(
        name="web",
        title="Web",
        status="ok",
        detail="This page came from it." if serves else "It serves pages and the API.",
        figures=(("Processes", f"{max(1, len(alive)):,}"), *_memory(alive)),
    )


def _workers(processes: list[ProcessView]) -> list[PartHealth]:
    parts: list[PartHealth] = []
    for role, duty in _ROLES.items():
        mine = [process for process in processes if role in process.roles]
        alive = [process for process in mine if process.alive]
        if not mine:
            parts.append(_missing(role))
            continue
        figures: list[tuple[str, str]] = [("Processes", f"{len(alive):,}"), *_memory(alive)]
        if role == "agents":
            figures.append(("Runs at work", f"{sum(int(p.figures.get('active_runs', 0)) for p in alive):,}"))
        parts.append(
            PartHealth(
                name=f"worker-{role}",
                title=f"Worker: {role}",
                status="ok" if alive else "failed",
                detail=duty if alive else "No process of this role answers.",
                cause="" if alive else "Its last sign of life is more than 15 seconds old.",
                fix="" if alive else "Look at its log; start it again.",
                figures=tuple(figures),
            )
        )
    return parts


def _missing(role: str) -> PartHealth:
    return PartHealth(
        name=f"worker-{role}",
        title=f"Worker: {role}",
        status="failed",
        detail="No process of this role runs.",
        cause="None has reported here.",
        fix=f"Start one with `autoweave run worker --roles {role}`.",
    )


def _memory(processes: list[ProcessView]) -> tuple[tuple[str, str], ...]:
    resident = sum(process.figures.get("rss_mb", 0.0) for process in processes)
    return (("Memory", f"{resident:.0f} MiB"),) if resident else ()
