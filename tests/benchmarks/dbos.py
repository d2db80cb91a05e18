"""DBOS beside the engine, on SQLite and on PostgreSQL, in the same run.

``python -m tests.benchmarks.dbos [--seconds N]`` prints one line of JSON. DBOS runs in an environment of its own under
``.tools``, made here by ``peers/dbos.txt``: a workflow of three bare steps and one of 5 ms, called inside its process.
Ours is a run of the starter agent by ``POST /v1/agents/{agent}/runs`` with a model stub of 5 ms: input, prompt, model
turn and output, with a door, a key, a budget, a trace and two processes besides. Ratios are ours to DBOS's.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.peers.environment import PEERS, peer_python, peer_version
from tests.benchmarks.runs import measure
from tests.benchmarks.stand import family, model_at, standing, tell
from tests.fixtures.model_stub import run_stub
from tests.fixtures.postgres import PostgresServer, run_postgres


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure DBOS and the engine.")
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds: float = parser.parse_args().seconds
    python = peer_python("dbos")
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        place = Path(folder)
        sqlite = _pair(python, place / "sqlite", f"sqlite:///{place}/dbos.db", {}, seconds)
        with run_postgres(durable=True) as server:
            postgresql = _on_postgresql(python, place / "postgresql", server, seconds)
    tell("dbos", {"dbos": peer_version("dbos"), "sqlite": sqlite, "postgresql": postgresql})


def _on_postgresql(python: Path, folder: Path, server: PostgresServer, seconds: float) -> dict[str, object]:
    for name in ("ours", "dbos"):
        server.run("createdb", "-O", "autoweave", name)
    before = _cpu(server)
    url = server.url("dbos").replace("postgresql://", "postgresql+psycopg://")
    figures = _pair(python, folder, url, {"AUTOWEAVE_DATABASE_URL": server.url("ours")}, seconds)
    return figures | {"server_cpu_s_of_both": round(_cpu(server) - before, 1)}


def _pair(python: Path, folder: Path, url: str, variables: dict[str, str], seconds: float) -> dict[str, object]:
    """Return the figures of DBOS on ``url``, those of the product with ``variables``, and their ratios."""
    dbos = _dbos(python, url, seconds)
    with run_stub("--delay-ms", "5") as stub, standing(folder, model_at(stub.url) | variables) as stand:
        ours = asyncio.run(measure(stand, seconds))
    ratio = {
        "one_client_p50": ours["one_client"]["p50_ms"] / dbos["one_client"]["p50_ms"],
        "twenty_clients_per_s": ours["twenty_clients"]["per_s"] / dbos["twenty_clients"]["per_s"],
        "cpu_a_run": ours["cpu_ms_a_run"]["all"] / dbos["cpu_ms_a_run"],
    }
    return {"ours": ours, "dbos": dbos, "ratio": {name: round(value, 2) for name, value in ratio.items()}}


def _dbos(python: Path, url: str, seconds: float) -> dict[str, Any]:
    command = [python, PEERS / "dbos_runs.py", url, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"DBOS failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _cpu(server: PostgresServer) -> float:
    """Return the processor seconds of a PostgreSQL, those of its ended children included."""
    spent = sum(psutil.Process(server.process.pid).cpu_times()[:4])
    return spent + sum(sum(child.cpu_times()[:2]) for child in family(server.process.pid)[1:])


if __name__ == "__main__":
    main()
