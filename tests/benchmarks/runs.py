"""Runs through the REST door of the whole product, every step stored, with a model stub of 5 ms.

``python -m tests.benchmarks.runs [--seconds N]`` starts AutoWeave as a person does, with the embedded defaults, and
prints one line of JSON. The floor is one client that asks the stub itself. Targets: p50 of one client below
20 ms; 20 clients at least 200 runs a second.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import httpx

from tests.benchmarks.stand import Stand, load, model_at, per_run, rates, spread, standing, tell
from tests.fixtures.model_stub import run_stub

_ASKED_OF_THE_STUB = 200
_QUESTION = {"model": "stub", "stream": True, "messages": [{"role": "user", "content": "Good morning"}]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure runs through the REST door.")
    parser.add_argument("--seconds", type=float, default=15.0)
    seconds: float = parser.parse_args().seconds
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        run_stub("--delay-ms", "5") as stub,
        standing(Path(folder), model_at(stub.url)) as stand,
    ):
        idle = stand.memory()["all"]
        figures = asyncio.run(measure(stand, seconds))
        floor = asyncio.run(_floor(stub.url))
    figures["floor_stub_alone"] = floor
    figures["ratio_to_floor"] = round(figures["one_client"]["p50_ms"] / floor["p50_ms"], 1)
    figures |= {"idle_pss_mib": idle, "first_start_s": stand.ready_s}
    figures["targets"] = {"one_client_p50_ms": 20, "twenty_clients_per_s": 200, "idle_pss_mib": 400}
    tell("runs", figures)


async def measure(stand: Stand, seconds: float) -> dict[str, dict[str, float]]:
    """Return the figures of one client and of twenty, and the processor time of a run of the latter."""
    await load(stand, 4, min(3.0, seconds))
    one = await load(stand, 1, seconds)
    before = stand.cpu()
    many = await load(stand, 20, seconds)
    spent = per_run(before, stand.cpu(), len(many))
    return {"one_client": rates(one, seconds), "twenty_clients": rates(many, seconds), "cpu_ms_a_run": spent}


async def _floor(url: str) -> dict[str, float]:
    """Return how long the model alone takes over the same question."""
    durations: list[float] = []
    async with httpx.AsyncClient(base_url=url) as client:
        for _ in range(_ASKED_OF_THE_STUB):
            started = time.perf_counter()
            (await client.post("/v1/chat/completions", json=_QUESTION)).raise_for_status()
            durations.append(time.perf_counter() - started)
    return spread(durations)


if __name__ == "__main__":
    main()
