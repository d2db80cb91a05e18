"""What the benchmarks of the whole product share: the product on a free port, its first person, and what it uses."""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import psutil

from tests.benchmarks.asking import Asking
from tests.fixtures.app import RunningApp

_SETUP = {"email": "bench@example.org", "password": "a long enough password", "name": "Bench", "tenant_name": "Bench"}
BROWSER_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync")  # fmt: skip
_ANSWER_S = 30.0
_ROLES = (("valkey-server", "valkey"), ("wasmtime.child", "sandbox"), ("run worker", "worker"), ("run web", "web"))


class Stand:
    """A running product with an administrator.

    Attributes:
        app: the processes; ``url`` is where they answer.
        cookies: of the administrator's browser.
        key: an API key that may read and run agents and publish events.
        ready_s: seconds from the command to "ready", on an empty data folder.
    """

    def __init__(self, app: RunningApp, ready_s: float) -> None:
        self.app = app
        self.url = app.url
        self.ready_s = round(ready_s, 2)
        self.cookies = _set_up(app)
        self.key = _key(app)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return a client that carries the key."""
        headers = {"authorization": f"Bearer {self.key}"}
        limits = httpx.Limits(max_connections=512)
        return httpx.AsyncClient(
            **{"base_url": self.url, "headers": headers, "limits": limits, "timeout": 30} | options
        )

    def browser_cookies(self) -> list[dict[str, str]]:
        """Return the administrator's cookies in the form that Playwright takes."""
        return [{"name": name, "value": value, "url": self.url} for name, value in self.cookies.items()]

    def cpu(self) -> Counter[str]:
        """Return the seconds of processor time that each kind of process has spent so far."""
        return cpu(self.app.process.pid)

    def memory(self) -> dict[str, float]:
        """Return the proportional memory of each kind of process and of all, MiB: what is shared counts once."""
        return memory(self.app.process.pid)


@contextmanager
def standing(folder: Path, variables: Mapping[str, str] | None = None) -> Generator[Stand]:
    """Start the product as a person does, with an administrator and a key; end it afterwards."""
    started = time.perf_counter()
    app = RunningApp(folder, variables)
    try:
        app.ready()
        yield Stand(app, time.perf_counter() - started)
    except BaseException:
        sys.stderr.write(f"the product said at the end:\n{app.printed[-3000:]}\n")
        raise
    finally:
        app.stop()


def model_at(url: str) -> dict[str, str]:
    """Return the settings that make the stub at ``url`` the product's model."""
    return {"AUTOWEAVE_MODEL": "openai:stub", "OPENAI_API_KEY": "bench", "OPENAI_BASE_URL": f"{url}/v1"}


def _set_up(app: RunningApp) -> dict[str, str]:
    token = app.setup_url.partition("token=")[2]
    answer = httpx.post(f"{app.url}/auth/setup", data={**_SETUP, "token": token}, headers={"origin": app.url})
    if answer.status_code != httpx.codes.SEE_OTHER or "error" in answer.headers["location"]:
        raise RuntimeError(f"setup: {answer.status_code} {answer.headers.get('location')}")
    return dict(answer.cookies)


def _key(app: RunningApp) -> str:
    command = [sys.executable, "-m", "backend", "key", "create", "--name", "bench"]
    command += ["--scopes", "agents:read,agents:run,events:publish", "--json"]
    environment = {**os.environ, "AUTOWEAVE_DATA": str(app.data)} | app.variables
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=Path.cwd())
    if made.returncode:
        raise RuntimeError(f"key create: {made.stdout}{made.stderr}")
    return json.loads(made.stdout)["key"]


async def load(stand: Stand, clients: int, seconds: float) -> list[float]:
    """Let that many clients ask for runs, one after the other each; return how long each run took."""
    until = time.perf_counter() + seconds
    results = await asyncio.gather(*(_client(stand, until) for _ in range(clients)))
    return [duration for each in results for duration in each]


async def _client(stand: Stand, until: float) -> list[float]:
    durations: list[float] = []
    asked = json.dumps({"input": "Good morning", "wait": True}).encode()
    with closing(Asking(stand.url, {"authorization": f"Bearer {stand.key}"})) as asking:
        while time.perf_counter() < until:
            started = time.perf_counter()
            async with asyncio.timeout(_ANSWER_S):
                status, answer = await asking.post("/v1/agents/concierge/runs", asked)
            durations.append(time.perf_counter() - started)
            if status != httpx.codes.OK or json.loads(answer)["status"] != "SUCCEEDED":
                raise RuntimeError(answer.decode())
    return durations


def rates(durations: list[float], seconds: float) -> dict[str, float]:
    """Return how many there were, how many a second, and how long they took."""
    return {"runs": len(durations), "per_s": round(len(durations) / seconds, 1)} | spread(durations)


def spread(durations: list[float]) -> dict[str, float]:
    """Return median and tail of seconds, in milliseconds."""
    cuts = statistics.quantiles(durations, n=100, method="inclusive")
    return {name: round(cuts[at] * 1000, 2) for name, at in (("p50_ms", 49), ("p95_ms", 94), ("p99_ms", 98))}


def per_run(before: Mapping[str, float], after: Mapping[str, float], runs: int) -> dict[str, float]:
    """Return the milliseconds of processor time a run, by kind of process and of all."""
    spent = {name: (after[name] - before.get(name, 0.0)) * 1000 / max(1, runs) for name in after}
    return {name: round(value, 2) for name, value in (spent | {"all": sum(spent.values())}).items()}


def percent(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return the share of one core that was used, by kind of process and of all."""
    spent = {name: (after[name] - before.get(name, 0.0)) * 100 / seconds for name in after}
    return {name: round(value, 2) for name, value in (spent | {"all": sum(spent.values())}).items()}


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def cpu(pid: int) -> Counter[str]:
    """Return the seconds of processor time that a family of processes has spent so far, by kind."""
    spent: Counter[str] = Counter()
    for process in family(pid):
        spent[_role(process)] += sum(process.cpu_times()[:2])
    return spent


def memory(pid: int) -> dict[str, float]:
    """Return the proportional memory of a family of processes, MiB, by kind and of all."""
    found: Counter[str] = Counter()
    for process in family(pid):
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        pss = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        found[_role(process)] += int(pss[1]) / 1024 if pss else 0
    return {name: round(value, 1) for name, value in {**found, "all": sum(found.values())}.items()}


def _role(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((role for sign, role in _ROLES if sign in line), "supervisor")


def chromium() -> str:
    """Return the path of the system's browser; raise `SystemExit` where there is none."""
    found = which("chromium") or which("chromium-browser") or which("google-chrome")
    if found is None:
        raise SystemExit("No Chromium on this machine: `apt install chromium`.")
    return found


def tell(name: str, figures: Mapping[str, object]) -> None:
    """Print a benchmark's figures as one line of JSON, with the machine's part in them."""
    machine = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}
    sys.stdout.write(json.dumps({"benchmark": name, **machine, **figures}) + "\n")
