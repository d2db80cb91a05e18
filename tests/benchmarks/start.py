"""How long a warm start takes to the first page, and what the idle product weighs.

``python -m tests.benchmarks.start [--times N] [--settle S]`` prints one line of JSON: seconds from the command to an
HTTP 200 of the sign-in page and to "ready", on a data folder that has been used before, and the memory (PSS)
of all processes after a rest. The floor is Granian with an application of one line. Targets: 5 s and 400 MiB.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.benchmarks.stand import cpu, memory, standing, tell
from tests.fixtures.app import RunningApp
from tests.fixtures.processes import Running, free_port

_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.01
_TARGETS = {"http_200_s": 5, "idle_pss_mib": 400}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure warm starts.")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--settle", type=float, default=10.0, help="seconds of rest before memory is read")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        with standing(Path(folder)) as stand:
            first_s = stand.ready_s
        starts = [_warm(Path(folder), arguments.settle) for _ in range(arguments.times)]
        floor = [_bare(Path(folder)) for _ in range(arguments.times)]
    answered = _middle([each["http_200_s"] for each in starts])
    figures = {
        "times": arguments.times,
        "first_start_s": first_s,
        "http_200_s": answered,
        "ready_s": _middle([each["ready_s"] for each in starts]),
        "cpu_s_until_ready": _middle([each["cpu_s"] for each in starts]),
        "idle_pss_mib": _middle([each["pss_mib"]["all"] for each in starts]),
        "idle_pss_mib_by_process": starts[-1]["pss_mib"],
        "floor_bare_granian": {
            "http_200_s": _middle([seconds for seconds, _ in floor]),
            "pss_mib": _middle([weight for _, weight in floor]),
        },
    }
    figures["ratio_to_floor"] = round(answered["median"] / figures["floor_bare_granian"]["http_200_s"]["median"], 1)
    tell("start", figures | {"targets": _TARGETS})


def _warm(folder: Path, settle_s: float) -> dict[str, float | dict[str, float]]:
    """Start the product, look until it serves, let it rest and weigh it."""
    started = time.perf_counter()
    app = RunningApp(folder)
    try:
        answered = _until_200(app, f"{app.url}/sign-in") - started
        app.ready()
        ready = time.perf_counter() - started
        spent = sum(cpu(app.process.pid).values())
        time.sleep(settle_s)
        return {"http_200_s": answered, "ready_s": ready, "cpu_s": spent, "pss_mib": memory(app.process.pid)}
    finally:
        app.stop()


def _bare(folder: Path) -> tuple[float, float]:
    port = free_port()
    program = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port)]
    started = time.perf_counter()
    granian = Running([*program, "tests.benchmarks.peers.bare:app"], folder)
    try:
        answered = _until_200(granian, f"http://127.0.0.1:{port}/") - started
        return answered, memory(granian.process.pid)["all"]
    finally:
        granian.process.terminate()
        granian.end()


def _until_200(program: Running, url: str) -> float:
    """Return the clock at the first HTTP 200."""
    deadline = time.perf_counter() + _PATIENCE_S
    with httpx.Client(timeout=2) as client:
        while time.perf_counter() < deadline and program.process.poll() is None:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return time.perf_counter()
            except httpx.TransportError:
                time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"no answer:\n{program.printed[-2000:]}")


def _middle(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 2), "worst": round(max(values), 2)}


if __name__ == "__main__":
    main()
