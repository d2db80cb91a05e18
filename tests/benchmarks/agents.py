"""A thousand agents that are asked by events, each of them as often as the rate allows: real runs, one worker.

``python -m tests.benchmarks.agents [--agents 1000] [--rates 100 150] [--seconds 30]`` prints one line of JSON. Events
come in batches by ``POST /events/aw.agents`` to one agent after the other; each starts a durable run of the starter's
graph with a model stub of 5 ms. What is told for each rate: runs a second that ended well, what waited in the middle
and at the end (a flat line is one that carries the rate), processor time a run and the memory (PSS) of the worker and
of everything. The floor of an agent is none: nothing runs for one that is not asked (`tests.benchmarks.idle`).
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import Any

from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_backend
from backend.domain.agents.rules import CONCIERGE
from backend.foundation.telemetry.logs import configure_logs
from tests.benchmarks.idle import add_agents
from tests.benchmarks.stand import Stand, model_at, per_run, standing, tell
from tests.fixtures.model_stub import run_stub
from tests.fixtures.waiting import until

_TICK_S, _MOST_IN_BATCH = 0.2, 500
_DRAIN_S = 120.0
_ENDED = "SELECT count(*) FROM flows_run WHERE status = 'SUCCEEDED'"
_BATCH = "application/cloudevents-batch+json"


class _Askers:
    """Sends events, each to the next agent; knows how many were accepted."""

    def __init__(self, stand: Stand, agents: int) -> None:
        self._stand = stand
        self._agents = agents
        self._numbers = count()
        self.accepted = 0

    async def send(self, rate: int, seconds: float) -> None:
        before, begun = self.accepted, time.perf_counter()
        async with self._stand.client() as client:
            while (spent := time.perf_counter() - begun) < seconds:
                due = min(_MOST_IN_BATCH, int(spent * rate) - (self.accepted - before))
                if due > 0:
                    batch = [self._event(number) for number in islice(self._numbers, due)]
                    answer = await client.post("/events/aw.agents", json=batch, headers={"content-type": _BATCH})
                    answer.raise_for_status()
                    self.accepted += due
                await asyncio.sleep(_TICK_S)

    def _event(self, number: int) -> dict[str, Any]:
        agent = f"{CONCIERGE.slug}-{1 + number % (self._agents - 1)}"
        about = {"specversion": "1.0", "id": f"ask-{number}", "source": "/bench", "type": "agents.start_run.v1"}
        return about | {"partitionkey": agent, "data": {"agent": agent, "input": "Good morning"}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure a thousand agents that are asked by events.")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 150])
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        run_stub("--delay-ms", "5") as stub,
        standing(Path(folder), model_at(stub.url)) as stand,
    ):
        figures = asyncio.run(_measure(stand, given.agents, given.rates, given.seconds))
    tell("agents", {"agents": given.agents, "seconds": given.seconds, "targets": {"pss_mib": 600}, **figures})


async def _measure(stand: Stand, agents: int, rates: list[int], seconds: float) -> dict[str, Any]:
    configure_logs(format="json", service="bench", level="error")
    async with open_backend(load({"data": str(stand.app.data)}), roles=()) as backend:
        cookies = "; ".join(f"{name}={value}" for name, value in stand.cookies.items())
        caller = await backend.identity.caller_of_cookies(cookies)
        await add_agents(backend, caller.tenant, agents)
    askers = _Askers(stand, agents)
    await askers.send(50, 3.0)
    await _drained(stand, askers)
    figures: dict[str, Any] = {"idle_pss_mib": stand.memory()}
    for rate in rates:
        figures[f"at_{rate}"] = await _at(stand, askers, rate, seconds)
    return figures


async def _at(stand: Stand, askers: _Askers, rate: int, seconds: float) -> dict[str, Any]:
    before, cpu, begun = askers.accepted, stand.cpu(), time.perf_counter()
    waiting: list[int] = []
    for _ in range(2):
        await askers.send(rate, seconds / 2)
        waiting.append(askers.accepted - _ended(stand))
    memory = stand.memory()
    await _drained(stand, askers)
    runs, took = askers.accepted - before, time.perf_counter() - begun
    return {
        "runs": runs,
        "per_s_until_all_ended": round(runs / took, 1),
        "waiting_halfway_and_at_the_end": waiting,
        "cpu_ms_a_run": per_run(cpu, stand.cpu(), runs),
        "pss_mib": memory,
    }


async def _drained(stand: Stand, askers: _Askers) -> None:
    async def all_ended() -> bool:
        return await asyncio.to_thread(_ended, stand) >= askers.accepted

    await until(all_ended, _DRAIN_S)


def _ended(stand: Stand) -> int:
    with closing(sqlite3.connect(f"file:{stand.app.data}/autoweave.db?mode=ro", uri=True)) as database:
        [ended] = database.execute(_ENDED).fetchone()
    return int(ended)


if __name__ == "__main__":
    main()
