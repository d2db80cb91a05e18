"""How much the whole bus carries, beside bare clients and FastStream on the same broker in the same run.

The product is ``autoweave bench mesh``: two processes with validation, tenancy, inbox, outbox and telemetry as shipped.
The floors are a loop of aiokafka, FastStream with a typed handler, and a loop of XADD and XREADGROUP, each in two
processes, with the same load (`peers.mesh_loop`). ``python -m tests.benchmarks.mesh [--seconds 60] [--only NAME …]``
prints one line of JSON. A load above what can be carried tells the most that is: the rate until all is handled.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.adapters.kafka.bus import KafkaBus
from tests.benchmarks.peers.environment import PEERS, peer_python, peer_version
from tests.benchmarks.stand import tell
from tests.fixtures.kafka import Broker, kafka_server
from tests.fixtures.processes import ROOT
from tests.fixtures.valkey import PrivateValkey

_PARTITIONS, _SIZE, _WARM_S = 8, 1024, 3.0
_TARGETS = {
    "kafka_10000": "10,000/s, 99%, p99 < 100 ms to the handler",
    "kafka_1000": "p99 < 20 ms to the handler",
    "kafka_reply": "6,000/s",
    "embedded_10000": "10,000/s",
    "embedded_5000": "p99 < 50 ms to the handler",
}


@dataclass(frozen=True)
class _Case:
    """A load, and beside whom it runs; ``share`` of the seconds that were asked for."""

    name: str
    mode: str
    rate: int
    beside: tuple[str, ...]
    share: float = 1.0


_KAFKA = ("aiokafka", "faststream")
_CASES = (
    _Case("kafka_10000", "handled", 10_000, _KAFKA),
    _Case("kafka_1000", "handled", 1_000, _KAFKA, 0.5),
    _Case("kafka_most", "handled", 40_000, _KAFKA, 0.2),
    _Case("kafka_reply", "reply", 6_000, _KAFKA),
    _Case("kafka_reply_most", "reply", 20_000, _KAFKA, 0.2),
    _Case("embedded_10000", "handled", 10_000, ("valkey",)),
    _Case("embedded_5000", "handled", 5_000, ("valkey",), 0.5),
    _Case("embedded_most", "handled", 40_000, ("valkey",), 0.2),
)


@dataclass(frozen=True)
class Server:
    """A broker of its own for one load: what one load wrote must not slow the next, and Java is as cold for each."""

    url: str
    bootstrap: str
    pid: int


@contextmanager
def broker(kind: str) -> Generator[Server]:
    """Run Valkey where ``kind`` is ``valkey``, else Kafka."""
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        if kind == "valkey":
            valkey = PrivateValkey(Path(folder))
            valkey.start()
            try:
                yield Server(valkey.url, valkey.url, 0)
            finally:
                valkey.kill()
        else:
            kafka: Broker = kafka_server.KafkaServer(Path(folder), heap="1g")
            kafka.start()
            try:
                yield Server(kafka.url, kafka.bootstrap, kafka.pid)
            finally:
                kafka.stop()


def loop_beside(kind: str, mode: str, rate: int, seconds: float) -> dict[str, Any]:
    """Run `peers.mesh_loop` on a broker of its own and return its figures."""
    with broker(kind) as server:
        if kind != "valkey":
            asyncio.run(_topics(server.url))
        load = [kind, mode, server.bootstrap, str(rate), str(seconds), str(_WARM_S), str(_SIZE)]
        return _json_of([str(peer_python("faststream")), str(PEERS / "mesh_loop.py"), *load], os.environ)


async def _topics(url: str) -> None:
    bus = KafkaBus(url)
    for topic in ("ask", "answer"):
        await bus.create_topic(topic, partitions=_PARTITIONS)
    await bus.close()


def _product(case: _Case, seconds: float) -> dict[str, Any]:
    if case.beside == ("valkey",):
        return _of_product(case, seconds, "", 0)
    with broker("kafka") as server:
        return _of_product(case, seconds, server.url, server.pid)


def _of_product(case: _Case, seconds: float, bus: str, pid: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "backend", "bench", "mesh", "--json", "--mode", case.mode, "--size", str(_SIZE)]
    command += ["--rate", str(case.rate), "--duration", str(seconds), "--warm-up", str(_WARM_S)]
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as data:
        variables = {"AUTOWEAVE_DATA": data, "AUTOWEAVE_BUS_URL": bus}
        found = _json_of([*command, "--broker-pid", str(pid)], os.environ | variables)
    told = {name: _told(found[name]) for name in ("ask", "reply") if found[name]}
    return {"ok": found["ok"], "success": found["success"], **told, "cpu_us": found["cpu_us"]}


def _told(hop: dict[str, Any]) -> dict[str, float]:
    late = hop["to_handler_ms"]
    return {"handled": hop["handled"], "per_s": round(hop["rate"]), "p50_ms": late["p50"], "p99_ms": late["p99"]}


def _json_of(command: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(command, env=dict(variables), cwd=ROOT, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def _measured(case: _Case, seconds: float) -> dict[str, Any]:
    timed = max(3.0, seconds * case.share)
    beside = {kind: loop_beside(kind, case.mode, case.rate, timed) for kind in case.beside}
    return {"rate": case.rate, "seconds": timed, "autoweave": _product(case, timed), **beside}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the whole bus beside its peers.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", nargs="*", choices=[case.name for case in _CASES], default=[])
    given = parser.parse_args()
    figures: dict[str, Any] = {"size": _SIZE, "peer": peer_version("faststream"), "targets": _TARGETS}
    for case in _CASES:
        if not given.only or case.name in given.only:
            figures[case.name] = _measured(case, given.seconds)
            sys.stderr.write(f"{case.name}: {json.dumps(figures[case.name])}\n")
    tell("mesh", figures)


if __name__ == "__main__":
    main()
