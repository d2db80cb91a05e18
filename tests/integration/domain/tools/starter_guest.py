"""A starter tool's module, called without a pool: for thousands of calls in a test."""

import atexit
import json
from functools import cache
from pathlib import Path
from typing import Any

from wasmtime import Module

from backend.adapters.wasmtime import guest
from backend.adapters.wasmtime.engine import new_engine
from backend.domain.tools.rules.manifest import parse_manifest
from backend.domain.tools.rules.schema import value_faults

STARTER = Path(parse_manifest.__code__.co_filename).parent.parent / "starter"
_ENGINE = new_engine()
atexit.register(_ENGINE.close)


@cache
def _loaded(name: str) -> tuple[Module, guest.Bounds, Any]:
    manifest = parse_manifest((STARTER / name / "tool.toml").read_text())
    module = Module.deserialize(_ENGINE, guest.compiled(_ENGINE, (STARTER / name / manifest.wasm).read_bytes()))
    return module, guest.Bounds(manifest.security.memory_bytes, manifest.security.fuel, 1 << 20), manifest.output_schema


def ask(name: str, **arguments: Any) -> Any:
    """Return what the tool answers, or `Fault` with its words; the result fits the tool's own description."""
    module, bounds, output_schema = _loaded(name)
    ended = guest.run(_ENGINE, module, json.dumps(arguments, ensure_ascii=False).encode(), bounds)
    assert ended.outcome == "ok", (ended.error, arguments)
    answer = json.loads(ended.output)
    if "error" in answer:
        return Fault(answer["error"])
    assert value_faults(output_schema, answer["ok"], "the result") == ()
    return answer["ok"]


class Fault(str):
    """The words of an error."""

    __slots__ = ()
