"""`autoweave doctor`: each dependency, whether it works, and the fix when it does not."""

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from backend.adapters.database.database import SqlDatabase
from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.bootstrap import embedded
from backend.bootstrap.entrance import check_address
from backend.bootstrap.outside import hide_secrets, model_clients, open_bus, open_live
from backend.bootstrap.prepare import administrator_exists, require_current
from backend.bootstrap.settings import Settings
from backend.bootstrap.supervisor import probe
from backend.bootstrap.web import PAGES
from backend.domain.models.service import Models
from backend.foundation.bus.service.topics import OwnTopics
from backend.foundation.kernel.errors import AutoWeaveError, Forbidden, Invalid, Unavailable
from backend.foundation.telemetry.rules.masking import mask_text

_PATIENCE_S = 5.0
_MIN_FREE = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One dependency. ``cause`` is one line of facts when it is ok, else why it is not; ``fix`` is what to do then."""

    name: str
    ok: bool
    cause: str
    fix: str = ""


Examination = Callable[[Settings], Awaitable[str]]


async def examine(settings: Settings) -> list[Finding]:
    """Ask everything side by side, each for 5 s at most; never raises for what is broken, and shows no secret."""
    hide_secrets(settings)
    return list(await asyncio.gather(*(_finding(name, ask, settings) for name, ask in _EXAMINATIONS.items())))


async def _finding(name: str, ask: Examination, settings: Settings) -> Finding:
    found = await _asked(name, ask, settings)
    # What a library says of its failure may hold what it was given.
    return replace(found, cause=mask_text(found.cause), fix=mask_text(found.fix))


async def _asked(name: str, ask: Examination, settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return Finding(name=name, ok=True, cause=await ask(settings))
    except AutoWeaveError as error:
        return Finding(name=name, ok=False, cause=error.message, fix=error.hint)
    except TimeoutError:
        return Finding(name=name, ok=False, cause=f"No answer within {_PATIENCE_S:.0f} s.", fix=_SLOW)
    except OSError as error:
        return Finding(name=name, ok=False, cause=str(error), fix="Check the folder and its permissions.")


_SLOW = "Look at its load and at the network between, then run `autoweave doctor` again."


async def _python(_settings: Settings) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        raise Unavailable(f"Python {version} is not supported.", hint="Use Python 3.11 to 3.14.")
    return f"Python {version}"


async def _data(settings: Settings) -> str:
    settings.data.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.data, os.W_OK | os.X_OK):
        raise Unavailable(f"{settings.data} cannot be written.", hint="Change its owner, or name another by --data.")
    free = shutil.disk_usage(settings.data).free
    if free < _MIN_FREE:
        raise Unavailable(f"{settings.data} has {free >> 20} MiB left.", hint="Free some space on its disk.")
    return f"{settings.data}, {free >> 30} GiB free"


async def _database(settings: Settings) -> str:
    await require_current(settings)
    database = SqlDatabase(settings.database_url)
    try:
        return f"{database.dialect}, {await database.ping():.1f} ms"
    finally:
        await database.close()


async def _valkey(settings: Settings) -> str:
    if settings.embedded_redis and not embedded.answers(settings.data):
        return f"{embedded.program()} starts with `autoweave run all`"
    live = open_live(settings)
    try:
        return f"{'bundled' if settings.embedded_redis else 'by AUTOWEAVE_REDIS_URL'}, {await live.ping():.1f} ms"
    finally:
        await live.close()


async def _bus(settings: Settings) -> str:
    if not settings.bus_url and settings.embedded_redis and not embedded.answers(settings.data):
        return "streams on the bundled Valkey, which does not run now"
    bus = open_bus(settings)
    try:
        # First, since it knows within 2 s what is wrong: a start may wait longer than there is patience here.
        health = await bus.health()
        if not health.ok:
            raise Unavailable(health.cause or health.detail, hint=health.fix)
        await bus.start()
        own = OwnTopics(bus, partitions=settings.bus_partitions, retention_ms=settings.bus_retention * 3_600_000)
        try:
            found = await own.differences()
        except (Forbidden, Invalid):
            # Who may not ask how a topic is set may use it all the same.
            found = []
    finally:
        await bus.close()
    differing = f"; {found[0].words} `autoweave bus topics` lists all {len(found)} differences" if found else ""
    return f"{health.kind}, {health.detail}, {health.latency_ms:.1f} ms{differing}"


async def _sandbox(settings: Settings) -> str:
    sandbox = WasmtimeSandbox(SandboxSettings(folder=settings.data / "sandbox"))
    try:
        await sandbox.start()
        health = await sandbox.health()
    finally:
        await sandbox.close()
    if not health.ok:
        raise Unavailable(health.cause, hint=health.fix)
    return "a child started and ended"


async def _model(settings: Settings) -> str:
    models = Models(model_clients(settings), settings.model)
    try:
        health = await models.health()
    finally:
        await models.close()
    if health.status == "failed":
        raise Unavailable(health.cause, hint=health.fix)
    return health.detail


async def _pages(_settings: Settings) -> str:
    if not PAGES.exists():
        raise Unavailable("The pages have not been built.", hint="Run `make setup`.")
    return "built"


async def _address(settings: Settings) -> str:
    if await asyncio.to_thread(probe.serves, settings):
        return f"{settings.url} is served"
    probe.require_free(settings)
    check_address(settings, administrator=settings.loopback or await administrator_exists(settings))
    return f"{settings.url} is free"


_EXAMINATIONS: dict[str, Examination] = {
    "python": _python,
    "data": _data,
    "database": _database,
    "valkey": _valkey,
    "bus": _bus,
    "sandbox": _sandbox,
    "model": _model,
    "pages": _pages,
    "address": _address,
}
