"""What telemetry costs: ``python -m tests.benchmarks.telemetry`` prints microseconds of CPU as JSON."""

import asyncio
import io
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.foundation.telemetry import current_traceparent, metrics, span, span_inside
from backend.foundation.telemetry.logs import configure_logs, get_logger
from backend.foundation.telemetry.service import Limits, Telemetry
from backend.foundation.telemetry.tracing import RecordedSpan
from backend.foundation.telemetry.tracing.current import record_to

_TIMES = 20_000
_ROUNDS = 5
_STORED = 8_000
_KEPT = f"00-{'a' * 32}-{'b' * 16}-01"
_NOT_KEPT = f"00-{'a' * 32}-{'b' * 16}-00"
_IMPORT = """
import asyncio, json, sys, time
import sqlalchemy.ext.asyncio, sqlmodel
def pages(): return int(open("/proc/self/statm").read().split()[1])
before, modules = pages(), len(sys.modules)
started = time.process_time()
import {module}
ms = round((time.process_time() - started) * 1e3)
print(json.dumps({{"ms": ms, "modules": len(sys.modules) - modules, "mb": round((pages() - before) / 256, 1)}}))
"""


def _child() -> None:
    with span("flows.step", attributes={"autoweave.step.path": "llm#0", "n": 1}):
        pass


def _remote(parent: str) -> Callable[[], None]:
    def work() -> None:
        with span("bus.handle", tenant="ten_1", parent=parent, kind="consumer"):
            pass

    return work


def _bulk_root() -> None:
    with span("events.publish", tenant="ten_1", bulk=True):
        pass


def _inside() -> None:
    with span_inside("db.write"):
        pass


def _log_line() -> None:
    get_logger("chat").info("message sent", thread="thr_01jd2k3m4n5p6q7r8s9t0v1w2x", size=3)


def microseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call, the best of five rounds: others share the machine."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for _ in range(_TIMES):
            work()
        best = min(best, time.process_time() - started)
    return round(best / _TIMES * 1e6, 2)


def spans() -> dict[str, float]:
    """Measure each way to open a span."""
    finished: deque[RecordedSpan] = deque(maxlen=1_000)
    record_to(finished.append, event_ratio=0.0)
    found = {
        "empty loop": microseconds(lambda: None),
        "kept, parent came with the event": microseconds(_remote(_KEPT)),
        "not kept, parent came with the event": microseconds(_remote(_NOT_KEPT)),
        "not kept, new bulk trace": microseconds(_bulk_root),
        "lower part outside a trace": microseconds(_inside),
    }
    with span("run", tenant="ten_1"):
        found["kept, child"] = microseconds(_child)
        found["current_traceparent"] = microseconds(current_traceparent)
    with span("run", tenant="ten_1", bulk=True):
        found["not kept, child"] = microseconds(_child)
    return found


def others() -> dict[str, float]:
    """Measure a log line and a count."""
    configure_logs(format="json", service="bench", stream=io.StringIO())
    with span("run", tenant="ten_1"):
        line = microseconds(_log_line)
    return {"json log line": line, "counter with a label": microseconds(lambda: metrics.RUNS.labels("SUCCEEDED").inc())}


async def stored() -> dict[str, float]:
    """Measure what the background task spends on a span: masking, encoding and SQLite."""
    with TemporaryDirectory() as folder:
        database = SqlDatabase(f"sqlite:///{folder}/bench.db")
        async with database.engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        telemetry = Telemetry(database, "bench", limits=Limits(every_s=600, beat_s=600))
        await telemetry.start()
        with span("run", tenant="ten_1"):
            for _ in range(_STORED):
                _child()
        cpu, wall = time.process_time(), time.perf_counter()
        await telemetry.flush()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        await telemetry.close()
        await database.close()
    return {"cpu": round(cpu / _STORED * 1e6, 2), "wall": round(wall / _STORED * 1e6, 2)}


def imports() -> dict[str, dict[str, float]]:
    """Measure what each part adds to a process that has its database library loaded already."""
    modules = ("backend.foundation.telemetry", "backend.foundation.telemetry.service", "backend.adapters.otel.exporter")
    found = {}
    for module in modules:
        code = _IMPORT.format(module=module)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path.cwd())
        found[module] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    report = {"span_us": spans(), "other_us": others(), "stored_us": asyncio.run(stored()), "import": imports()}
    print(json.dumps(report, indent=2))
