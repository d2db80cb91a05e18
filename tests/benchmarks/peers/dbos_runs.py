"""A workflow of DBOS: three bare steps and one of 5 ms. It runs in an environment of its own, without AutoWeave.

``python dbos_runs.py URL SECONDS`` prints one line of JSON: one caller, then twenty, all inside this process, with no
door between; processor time is this process's own.
"""

import asyncio
import json
import resource
import statistics
import sys
import time

from dbos import DBOS, DBOSConfig

MODEL_S = 0.005
WARM_UP_S = 1.0
MANY = 20


@DBOS.step()
async def take(text: str) -> str:
    return text.strip()


@DBOS.step()
async def prompt(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": text}]


@DBOS.step()
async def answer(messages: list[dict[str, str]]) -> str:
    await asyncio.sleep(MODEL_S)
    return messages[-1]["content"]


@DBOS.step()
async def give(text: str) -> dict[str, str]:
    return {"output": text}


@DBOS.workflow()
async def run(text: str) -> dict[str, str]:
    return await give(await answer(await prompt(await take(text))))


async def one_by_one(until: float) -> list[float]:
    """Run a workflow to its end, again and again."""
    durations: list[float] = []
    while time.perf_counter() < until:
        started = time.perf_counter()
        result = await run("Good morning")
        assert result == {"output": "Good morning"}
        durations.append(time.perf_counter() - started)
    return durations


async def load(callers: int, seconds: float) -> tuple[list[float], float]:
    """Return how long each took, and the processor seconds of all."""
    before = cpu()
    until = time.perf_counter() + seconds
    results = await asyncio.gather(*(one_by_one(until) for _ in range(callers)))
    return [duration for each in results for duration in each], cpu() - before


async def measure(seconds: float) -> dict[str, object]:
    await load(4, WARM_UP_S)
    one, _ = await load(1, seconds)
    many, spent = await load(MANY, seconds)
    return {
        "one_client": figures(one, seconds),
        "twenty_clients": figures(many, seconds),
        "cpu_ms_a_run": round(spent * 1000 / max(1, len(many)), 2),
    }


def figures(durations: list[float], seconds: float) -> dict[str, float]:
    cuts = statistics.quantiles(durations, n=100, method="inclusive")
    tail = {name: round(cuts[at] * 1000, 2) for name, at in (("p50_ms", 49), ("p95_ms", 94), ("p99_ms", 98))}
    return {"runs": len(durations), "per_s": round(len(durations) / seconds, 1)} | tail


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": sys.argv[1],
        "log_level": "WARNING",
        "run_admin_server": False,
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        found = asyncio.run(measure(float(sys.argv[2])))
    finally:
        DBOS.destroy()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
