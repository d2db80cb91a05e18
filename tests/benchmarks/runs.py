"""Runs through the REST door of the whole product, every step stored, with a model stub of 5 ms.

``python -m tests.benchmarks.runs [--seconds N]`` starts AutoWeave as a person does, with the embedded defaults, and
prints one line of JSON. Targets: p50 of one client below 20 ms; 20 clients at least 200 runs a second.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.fixtures.app import RunningApp
from tests.fixtures.model_stub import run_stub

_SETUP = {"email": "bench@example.org", "password": "a long enough password", "name": "Bench", "tenant_name": "Bench"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure runs through the REST door.")
    parser.add_argument("--seconds", type=float, default=15.0)
    seconds: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, run_stub("--delay-ms", "5") as stub:
        variables = {
            "AUTOWEAVE_MODEL": "openai:stub",
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": f"{stub.url}/v1",
        }
        started = time.perf_counter()
        app = RunningApp(Path(folder), variables).ready()
        ready_s = time.perf_counter() - started
        try:
            figures = asyncio.run(_measure(app, seconds))
        finally:
            app.stop()
    figures |= {"first_start_s": round(ready_s, 2), "processors": os.cpu_count()}
    sys.stdout.write(json.dumps(figures) + "\n")


async def _measure(app: RunningApp, seconds: float) -> dict[str, object]:
    key = await _key(app)
    idle = _memory(app.process.pid)
    async with httpx.AsyncClient(
        base_url=app.url,
        headers={"authorization": f"Bearer {key}"},
        limits=httpx.Limits(max_connections=64),
        timeout=30,
    ) as client:
        await _load(client, 4, 3.0)
        one = await _load(client, 1, seconds)
        before = _cpu(app.process.pid)
        many = await _load(client, 20, seconds)
        spent = _cpu(app.process.pid) - before
    return {
        "one_client": _figures(one, seconds),
        "twenty_clients": _figures(many, seconds),
        "cpu_ms_a_run": round(spent * 1000 / max(1, len(many)), 2),
        "idle_pss_mib": idle,
        "targets": {"one_client_p50_ms": 20, "twenty_clients_per_s": 200, "idle_pss_mib": 400},
    }


async def _key(app: RunningApp) -> str:
    token = app.setup_url.partition("token=")[2]
    async with httpx.AsyncClient(base_url=app.url, headers={"origin": app.url}) as client:
        answer = await client.post("/auth/setup", data={**_SETUP, "token": token})
        if answer.status_code != httpx.codes.SEE_OTHER or "error" in answer.headers["location"]:
            raise RuntimeError(f"setup: {answer.status_code} {answer.headers.get('location')}")
    command = [sys.executable, "-m", "backend", "key", "create", "--name", "bench"]
    command += ["--scopes", "agents:read,agents:run", "--json"]
    environment = {**os.environ, "AUTOWEAVE_DATA": str(app.data)}
    made = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    return json.loads(made.stdout)["key"]


async def _load(client: httpx.AsyncClient, clients: int, seconds: float) -> list[float]:
    until = time.perf_counter() + seconds
    results = await asyncio.gather(*(_client(client, until) for _ in range(clients)))
    return [duration for each in results for duration in each]


async def _client(client: httpx.AsyncClient, until: float) -> list[float]:
    durations: list[float] = []
    while time.perf_counter() < until:
        started = time.perf_counter()
        answer = await client.post("/v1/agents/concierge/runs", json={"input": "Good morning", "wait": True})
        durations.append(time.perf_counter() - started)
        if answer.status_code != httpx.codes.OK or answer.json()["status"] != "SUCCEEDED":
            raise RuntimeError(answer.text)
    return durations


def _figures(durations: list[float], seconds: float) -> dict[str, float]:
    cuts = statistics.quantiles(durations, n=100)
    return {
        "runs": len(durations),
        "per_s": round(len(durations) / seconds, 1),
        "p50_ms": round(cuts[49] * 1000, 1),
        "p95_ms": round(cuts[94] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
    }


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _cpu(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(pid))


def _memory(pid: int) -> float:
    """Proportional memory of the whole family, in MiB: what is shared counts once."""
    total = 0
    for process in _family(pid):
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    return round(total / 1024, 1)


if __name__ == "__main__":
    main()
