"""A small installation of real processes that a test may kill, freeze and cut off."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backend.app import Backend
from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_built
from backend.foundation.kernel.caller import Caller, Permission, system_caller
from backend.foundation.kernel.ids import TenantId, new_id
from tests.fixtures.processes import free_port
from tests.fixtures.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Worker:
    """A worker process of the product, started as an operator would start it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    member: str = ""

    def kill(self) -> None:
        """End it without a word to it."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is; it does not know."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    async def died(self, deadline_s: float = 30.0) -> int:
        """Wait until it is dead and return its exit code, negative for a signal."""
        return await asyncio.to_thread(self.process.wait, deadline_s)

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")


@dataclass
class Web(Worker):
    """A process that serves; ``url`` is where."""

    url: str = ""


@dataclass
class Stand:
    """An installation: its settings, its processes, and a door into it from the test's own process."""

    folder: Path
    database_url: str
    redis_url: str
    model_url: str
    bus_url: str = ""
    namespace: str = field(default_factory=lambda: f"c{new_id('x')[-8:]}")
    around: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else its processes find in their environment."""
    workers: list[Worker] = field(default_factory=list[Worker])

    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | {
            "AUTOWEAVE_DATA": str(self.folder),
            "AUTOWEAVE_DATABASE_URL": self.database_url,
            "AUTOWEAVE_REDIS_URL": self.redis_url,
            "AUTOWEAVE_NAMESPACE": self.namespace,
            "AUTOWEAVE_MODEL": "openai:stub",
            "OPENAI_API_KEY": "test-key",
            "OPENAI_BASE_URL": f"{self.model_url}/v1",
            **({"AUTOWEAVE_BUS_URL": self.bus_url} if self.bus_url else {}),
            **self.around,
        }

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Backend]:
        """Open the rooms in this process, without any role: what it writes, the workers do."""
        settings = load({}, environ=self.variables(), file=self.folder / "none.toml")
        async with open_built(settings, (), "client") as built:
            yield built.backend

    async def worker(
        self, *, failpoints: str = "", replaces: str = "", roles: str = "agents,relay", extra: Mapping[str, str] = {}
    ) -> Worker:
        """Start a worker and return when it takes work, or is dead by a failpoint of its start."""
        name = new_id("wrk")
        log = self.folder / f"{name}.log"
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "backend", "run", "worker", "--roles", roles, "--worker-id", name]
        # As the supervisor does: who replaces a dead one goes by his name on the bus.
        member = next((worker.member for worker in self.workers if worker.name == replaces), name)
        command += ["--member", member, *(["--replaces", replaces] if replaces else [])]
        variables = self.variables() | {"AUTOWEAVE_FAILPOINTS": failpoints} | extra
        process = _spawn([*command, "--notice", str(writer)], variables, log, writer)
        os.close(writer)
        worker = Worker(name=name, process=process, log=log, member=member)
        self.workers.append(worker)
        try:
            await asyncio.to_thread(_wait_ready, reader, worker)
        finally:
            os.close(reader)
        return worker

    async def web(self) -> Web:
        """Start a process that serves pages and API, and return when it does."""
        port = free_port()
        log = self.folder / f"web-{port}.log"
        variables = self.variables() | {"AUTOWEAVE_PORT": str(port)}
        process = _spawn([sys.executable, "-m", "backend", "run", "web"], variables, log)
        served = Web(name=f"web-{port}", process=process, log=log, url=f"http://127.0.0.1:{port}")
        self.workers.append(served)
        async with httpx.AsyncClient(base_url=served.url) as client:
            await until(lambda: _answers(client), 60)
        return served

    async def door(self, tenant: TenantId, verb: str, argument: str = "", *, failpoints: str = "") -> int:
        """Ask a process of its own for one verb; return its exit code, negative for a signal."""
        command = [sys.executable, "-m", "tests.crash.door", tenant, verb, argument]
        variables = self.variables() | {"AUTOWEAVE_FAILPOINTS": failpoints}
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=variables)
        return await process.wait()

    def close(self) -> None:
        """End what is left."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.thaw()
                worker.kill()


def _spawn(command: list[str], variables: Mapping[str, str], log: Path, *passed: int) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=file, stderr=file, pass_fds=passed)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/ready")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _wait_ready(reader: int, worker: Worker) -> None:
    deadline = time.monotonic() + 30
    os.set_blocking(reader, False)
    while time.monotonic() < deadline:
        try:
            if os.read(reader, 64):
                return
            worker.process.wait(5)
            return
        except BlockingIOError:
            time.sleep(0.01)
    raise TimeoutError(f"The worker is not ready:\n{worker.said()}")


def person(tenant: TenantId) -> Caller:
    """Somebody of the tenant who may chat and run agents."""
    return Caller(tenant=tenant, subject="usr_test", permissions=frozenset(Permission), kind="user")


def system(tenant: TenantId) -> Caller:
    """The system itself, for looking at what pages do not show."""
    return system_caller(tenant, "test")
