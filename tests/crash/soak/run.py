"""One soak: the product as an operator starts it, load, kills, a calm, and the count of everything."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from sqlalchemy import func, select
from sqlmodel import col

from backend.app import Backend
from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_built
from backend.domain.flows.models import RunRow, StepRow
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import TenantId
from tests.crash.ledger import faults
from tests.crash.soak.asks import Asks
from tests.crash.soak.store import Stored, look, told, wrong
from tests.crash.soak.watch import Watch, of_roles
from tests.crash.stand import person
from tests.fixtures.app import RunningApp
from tests.fixtures.model_stub import ModelStub, run_stub
from tests.fixtures.processes import ROOT, processes

_CALM_SHARE = 0.3
_WARM_S = 40.0
_KILL_S = 40.0
_LOOK_S = 3.0
_RESTART_S = 1.0
_STARTS = 5
_ROLES = ("worker", "valkey", "web", "supervisor", "worker")
_DRAIN_S = 120.0
_SETUP = {"email": "soak@example.org", "password": "a long enough password", "name": "Soak", "tenant_name": "Soak"}
_KINDS = {
    "rest": ("waiting", "looking", "watching", "calculating", "retried", "stopped"),
    "event": ("event",),
    "chat": ("message",),
}


def soak(folder: Path, minutes: float) -> list[str]:
    """Run for so many minutes in a folder; print what happened and return what was wrong."""
    with run_stub("--delay-ms", "5") as stub:
        model = {"AUTOWEAVE_MODEL": "openai:stub", "OPENAI_API_KEY": "soak", "OPENAI_BASE_URL": f"{stub.url}/v1"}
        service = _Service(folder, {"AUTOWEAVE_WORKERS": "2", "AUTOWEAVE_WEB_WORKERS": "2", **model})
        try:
            service.app.ready()
            found = asyncio.run(_Soak(service, stub, minutes).run())
            service.app.process.terminate()
            code = service.app.end(60.0)
            found += [f"the product ended with {code}"] if code else []
            found += [f"{len(left)} processes outlived it" for left in [processes(service.app.data)] if left]
            found += _sound(service.app.data)
        finally:
            service.app.stop()
    return found


class _Service:
    """What an operator's service manager does: start the product, and start it again a while after it died."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self.app = RunningApp(folder, variables)
        self._variables = {**variables, "AUTOWEAVE_PORT": str(self.app.port)}

    async def kill(self) -> None:
        """End the supervisor as the kernel does when memory is short, and start it again until it is ready."""
        self.app.process.kill()
        await asyncio.to_thread(self.app.process.wait)
        for _ in range(_STARTS):
            await asyncio.sleep(_RESTART_S)
            self.app = RunningApp(self._folder, self._variables)
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(self.app.ready)
                return
            self.app.stop()
        raise RuntimeError(f"It does not start again:\n{self.app.printed}")


class _Soak:
    def __init__(self, service: _Service, stub: ModelStub, minutes: float) -> None:
        self._service = service
        self._stub = stub
        self._seconds = minutes * 60
        self._calm_s = self._seconds * (1 - _CALM_SHARE)
        # Who was killed last is new: it is judged once it is warm.
        self._warm_s = self._calm_s + min(_WARM_S, self._seconds * _CALM_SHARE / 2)
        self._watch = Watch(service.app.data)
        self._kills: Counter[str] = Counter()
        self._stored: list[Stored] = []

    @property
    def _app(self) -> RunningApp:
        return self._service.app

    async def run(self) -> list[str]:
        _set_up(self._app)
        headers = {"authorization": f"Bearer {_key(self._app)}"}
        async with (
            _opened(self._app) as backend,
            httpx.AsyncClient(base_url=self._app.url, headers=headers, timeout=60) as client,
        ):
            [tenant] = await backend.identity.tenants()
            self._watch.started = time.monotonic()
            asks = Asks(client, backend, await _caller(backend, tenant))
            asks.start()
            loops = [asyncio.create_task(loop) for loop in (self._kill(), self._look(backend))]
            await asyncio.sleep(self._warm_s)
            self._stored.append(await look(self._app.data))
            await asyncio.sleep(self._seconds - self._warm_s)
            self._stored.append(await look(self._app.data))
            await asks.stop()
            for loop in loops:
                loop.cancel()
            ended = await asyncio.gather(*loops, return_exceptions=True)
            found = await self._drained(backend) + asks.broken
            found += await _counted(backend, asks.done) + await _asked_once(backend, self._stub)
            found += self._watch.grown(self._warm_s) + wrong(*self._stored)
            found += [repr(error) for error in ended if isinstance(error, Exception)]
            self._print(asks)
        return found

    async def _kill(self) -> None:
        """Kill somebody every half minute, until the calm; each of them in turn, in an order that is drawn anew."""
        # A short soak is for all of them too.
        longest = min(_KILL_S, self._calm_s / (len(_ROLES) + 1))
        for role in _endless(_ROLES):
            await asyncio.sleep(random.uniform(longest / 2, longest))
            if time.monotonic() - self._watch.started > self._calm_s:
                return
            if role == "supervisor":
                await self._service.kill()
            else:
                # Of those that serve the first is their parent; any of them may die.
                of_role = [pid for name, pid in of_roles(self._app.data) if name == role]
                os.kill(random.choice(of_role), signal.SIGKILL)
            self._kills[role] += 1

    async def _look(self, backend: Backend) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                lag = await backend.bus.lag("agents", "chat")
                waiting = (await backend.bus.outbox()).waiting
                async with backend.database.system_read() as session:
                    queued = select(func.count()).select_from(RunRow).where(col(RunRow.status) == "QUEUED")
                    queue = (await session.execute(queued)).scalar_one()
                behind = sum(sum(topics.values()) for topics in lag.values())
                self._watch.look(self._app.process.pid, lag=behind, outbox=waiting, queue=queue)
            await asyncio.sleep(_LOOK_S)

    async def _drained(self, backend: Backend) -> list[str]:
        """Wait until nothing is under way; return what is not exact then."""
        deadline = time.monotonic() + _DRAIN_S
        while found := await faults(backend.database):
            if time.monotonic() > deadline:
                return found[:20]
            await asyncio.sleep(1)
        behind = sum(sum(topics.values()) for topics in (await backend.bus.lag("agents", "chat")).values())
        return [f"{behind} events are not handled"] if behind else []

    def _print(self, asks: Asks) -> None:
        lines = [f"Asked and answered: {dict(asks.done)}; {asks.again} requests were sent again."]
        lines += [f"Killed: {dict(self._kills)}.", *self._watch.table(self._warm_s), *told(*self._stored)]
        print("\n".join(lines), flush=True)


def _endless(roles: Sequence[str]) -> Iterator[str]:
    while True:
        yield from random.sample(roles, len(roles))


async def _counted(backend: Backend, done: Counter[str]) -> list[str]:
    """Compare what was asked for with what is stored."""
    async with backend.database.system_read() as session:
        rows = await session.execute(select(col(RunRow.source), func.count()).group_by(col(RunRow.source)))
        stored: dict[str, int] = {row[0]: row[1] for row in rows}
    asked = {source: sum(done[kind] for kind in kinds) for source, kinds in _KINDS.items()}
    return [
        f"{asked[source]} runs were asked for by {source}, {stored.get(source, 0)} are stored"
        for source in asked
        if asked[source] != stored.get(source, 0)
    ]


async def _asked_once(backend: Backend, stub: ModelStub) -> list[str]:
    """Compare the model's own count of each question with the attempts that are stored of its run's turns."""
    async with backend.database.system_read() as session:
        turns = select(col(RunRow.input), func.sum(col(StepRow.attempt))).join(
            StepRow, (col(StepRow.run) == col(RunRow.id)) & (col(StepRow.kind) == "turn")
        )
        allowed: dict[str, int] = {row[0]: row[1] for row in await session.execute(turns.group_by(col(RunRow.input)))}
    asked = await asyncio.to_thread(stub.asked)
    return [
        f"the model was asked {count} times about {question!r} for {allowed.get(question, 0)} stored attempts"
        for question, count in asked.items()
        if count > allowed.get(question, 0)
    ][:20]


@asynccontextmanager
async def _opened(app: RunningApp) -> AsyncGenerator[Backend]:
    environment = {"PATH": os.environ["PATH"], "AUTOWEAVE_DATA": str(app.data)} | app.variables
    async with open_built(load({}, environ=environment, file=app.data / "none.toml"), (), "soak") as built:
        yield built.backend


async def _caller(backend: Backend, tenant: TenantId) -> Caller:
    [somebody] = await backend.identity.users(person(tenant))
    return replace(person(tenant), subject=somebody.id)


def _set_up(app: RunningApp) -> None:
    token = app.setup_url.partition("token=")[2]
    answer = httpx.post(f"{app.url}/auth/setup", data={**_SETUP, "token": token}, headers={"origin": app.url})
    if answer.status_code != httpx.codes.SEE_OTHER or "error" in answer.headers["location"]:
        raise RuntimeError(f"setup: {answer.status_code} {answer.headers.get('location')}")


def _key(app: RunningApp) -> str:
    command = [sys.executable, "-m", "backend", "key", "create", "--name", "soak"]
    command += ["--scopes", "agents:read,agents:run,events:publish", "--json"]
    environment = {**os.environ, "AUTOWEAVE_DATA": str(app.data)} | app.variables
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(made.stdout)["key"]


def _sound(data: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(data / "autoweave.db")) as connection:
        [said] = connection.execute("PRAGMA integrity_check").fetchone()
    return [] if said == "ok" else [f"the database says {said}"]
