"""What a call through the pool costs, against wasmtime alone in this process.

``python -m tests.benchmarks.sandbox [--calls N]`` prints one line of JSON. The floor is wasmtime in this process, with
a fresh instance for each call as well. Target: p99 of a warm call below 5 ms.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from wasmtime import Module

from backend.adapters.wasmtime import guest
from backend.adapters.wasmtime.engine import new_engine
from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.adapters.wasmtime.settings import SandboxSettings
from backend.domain.tools.ports import SandboxCall
from backend.domain.tools.service.starters import Package, starters
from tests.benchmarks.stand import spread, tell

_INPUT = json.dumps({"expression": "17% of 2,431"}).encode()
_WARM_UP = 50
_TARGETS = {"one_caller_p99_ms": 5}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure calls of the sandbox.")
    parser.add_argument("--calls", type=int, default=2000)
    calls: int = parser.parse_args().calls
    package = next(package for package in starters() if package.manifest.id.endswith("calculator"))
    with tempfile.TemporaryDirectory(prefix="aw-bench-") as folder:
        figures = asyncio.run(_through_the_pool(Path(folder), package, calls))
    floor = _bare(package, calls)
    ratio = round(figures["one_caller"]["p50_ms"] / floor["p50_ms"], 1)
    figures |= {"floor_bare_wasmtime": floor, "ratio_to_floor": ratio}
    tell("sandbox", {"calls": calls, **figures, "targets": _TARGETS})


async def _through_the_pool(folder: Path, package: Package, calls: int) -> dict[str, Any]:
    sandbox = WasmtimeSandbox(SandboxSettings(folder=folder))
    started = time.perf_counter()
    await sandbox.start()
    ready = time.perf_counter()
    await sandbox.prepare(package.sha256, package.code)
    prepared = time.perf_counter()
    call = SandboxCall(sha256=package.sha256, code=package.code, input=_INPUT)
    try:
        first = await _timed(sandbox, call, 1)
        await _timed(sandbox, call, _WARM_UP)
        one = await _timed(sandbox, call, calls)
        many = await asyncio.gather(*(_timed(sandbox, call, calls // 16) for _ in range(16)))
    finally:
        await sandbox.close()
    return {
        "start_ms": round((ready - started) * 1000, 1),
        "compile_ms": round((prepared - ready) * 1000, 1),
        "first_ms": round(first[0] * 1000, 2),
        "one_caller": _spread(one),
        "sixteen_callers": _spread([taken for caller in many for taken in caller]),
    }


async def _timed(sandbox: WasmtimeSandbox, call: SandboxCall, count: int) -> list[float]:
    taken: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        result = await sandbox.call(call)
        taken.append(time.perf_counter() - started)
        if result.outcome != "ok":
            raise SystemExit(f"a call failed: {result.error}")
    return taken


def _bare(package: Package, calls: int) -> dict[str, float]:
    engine = new_engine()
    module = Module.deserialize(engine, guest.compiled(engine, package.code))
    bounds = guest.Bounds(64 * 1024 * 1024, 500_000_000, 1024 * 1024)
    taken: list[float] = []
    for _ in range(calls + _WARM_UP):
        started = time.perf_counter()
        guest.run(engine, module, _INPUT, bounds)
        taken.append(time.perf_counter() - started)
    return _spread(taken[_WARM_UP:])


def _spread(taken: list[float]) -> dict[str, float]:
    return spread(taken) | {"max_ms": round(max(taken) * 1000, 2)}


if __name__ == "__main__":
    main()
