"""TOL-2. What the processes of the sandbox load: the parent no wasmtime, a child nothing else."""

import json
import subprocess
import sys

import pytest

LOADED = "import json, sys, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def packages(module: str, request: pytest.FixtureRequest) -> set[str]:
    """The packages outside of the standard library that are loaded with a module."""
    command = [sys.executable, "-c", LOADED.format(module=module)]
    printed = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, check=True).stdout
    return {name for name in json.loads(printed) if name not in sys.stdlib_module_names and not name.startswith("_")}


def test_a_child_loads_wasmtime_and_the_standard_library(request: pytest.FixtureRequest) -> None:
    assert packages("backend.adapters.wasmtime.child", request) <= {"backend", "wasmtime", "sitecustomize"}


def test_the_parent_does_not_load_wasmtime(request: pytest.FixtureRequest) -> None:
    assert "wasmtime" not in packages("backend.adapters.wasmtime.sandbox", request)
