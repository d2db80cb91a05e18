"""What telemetry costs, beside the span of OpenTelemetry's SDK.

``python -m tests.benchmarks.telemetry [--times N]`` prints one line of JSON: microseconds of processor time of a call,
and what each part adds to a process that imports it. The floor is the SDK's span with a processor that drops it.
"""

import argparse
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

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from sqlmodel import SQLModel

from backend.adapters.database.database import SqlDatabase
from backend.foundation.telemetry import current_traceparent, metrics, span, span_inside
from backend.foundation.telemetry.logs import configure_logs, get_logger
from backend.foundation.telemetry.service import Limits, Telemetry
from backend.foundation.telemetry.tracing import RecordedSpan
from backend.foundation.telemetry.tracing.current import record_to
from tests.benchmarks.stand import tell

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure spans, log lines and imports.")
    parser.add_argument("--times", type=int, default=20_000)
    times: int = parser.parse_args().times
    own, floor = _spans(times), _sdk_span(times)
    figures: dict[str, object] = {"times": times, "span_us": own, "floor_sdk_span_us": floor}
    figures["ratio_to_floor"] = round(own["kept_child"] / floor, 2)
    tell("telemetry", figures | {"other_us": _others(times), "stored_us": asyncio.run(_stored()), "import": _imports()})


def _microseconds(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call, the best of five rounds: others share the machine."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, time.process_time() - started)
    return round(best / times * 1e6, 2)


def _spans(times: int) -> dict[str, float]:
    """Measure each way to open a span."""
    finished: deque[RecordedSpan] = deque(maxlen=1_000)
    record_to(finished.append, event_ratio=0.0)
    found = {
        "empty_loop": _microseconds(lambda: None, times),
        "kept_remote_parent": _microseconds(_remote(_KEPT), times),
        "not_kept_remote_parent": _microseconds(_remote(_NOT_KEPT), times),
        "not_kept_bulk_root": _microseconds(_bulk_root, times),
        "lower_part_outside_a_trace": _microseconds(_inside, times),
    }
    with span("run", tenant="ten_1"):
        found["kept_child"] = _microseconds(_child, times)
        found["current_traceparent"] = _microseconds(current_traceparent, times)
    with span("run", tenant="ten_1", bulk=True):
        found["not_kept_child"] = _microseconds(_child, times)
    return found


def _sdk_span(times: int) -> float:
    """Measure what the SDK's own span costs in the work, as a child with the same two attributes."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())
    tracer = provider.get_tracer("bench")

    def child() -> None:
        with tracer.start_as_current_span("flows.step", attributes={"autoweave.step.path": "llm#0", "n": 1}):
            pass

    with tracer.start_as_current_span("run"):
        return _microseconds(child, times)


def _others(times: int) -> dict[str, float]:
    """Measure a log line and a count."""
    configure_logs(format="json", service="bench", stream=io.StringIO())
    with span("run", tenant="ten_1"):
        line = _microseconds(_log_line, times)
    count = _microseconds(lambda: metrics.RUNS.labels("SUCCEEDED").inc(), times)
    return {"json_log_line": line, "counter_with_a_label": count}


async def _stored() -> dict[str, float]:
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


def _imports() -> dict[str, dict[str, float]]:
    """Measure what each part adds to a process that has its database library loaded already."""
    modules = ("backend.foundation.telemetry", "backend.foundation.telemetry.service", "backend.adapters.otel.exporter")
    found: dict[str, dict[str, float]] = {}
    for module in modules:
        code = _IMPORT.format(module=module)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path.cwd())
        found[module] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
