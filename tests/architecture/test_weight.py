"""House rule: a process loads only what it needs; start-up time and memory are spent on purpose (OPS-1)."""

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

HEAVY = {
    "aiokafka", "alembic", "anthropic", "asyncpg", "granian", "openai", "opentelemetry", "plotly", "pydantic",
    "pydantic_ai", "redis", "reflex", "rich", "sqlalchemy", "sqlmodel", "starlette", "structlog", "textual", "typer",
    "wasmtime",
}  # fmt: skip
SUPERVISOR = "import backend.__main__, backend.cli.run, backend.bootstrap.supervisor.run"
SANDBOX_CHILD = "import backend.adapters.wasmtime.child"
COMMAND = "import backend.cli.app"
WEB_PARENT = "import backend.bootstrap.web"
WORKER = "import backend.bootstrap.roles"
NOT_FOR_WORKERS = {
    "reflex", "granian", "typer", "starlette", "aiokafka", "plotly", "anthropic", "openai", "textual",
}  # fmt: skip
NOT_FOR_HELP = {"reflex", "pydantic_ai", "openai", "anthropic", "aiokafka", "textual", "wasmtime"}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        (SUPERVISOR, set[str]()),
        (SANDBOX_CHILD, {"wasmtime"}),
        # Granian forks the processes that serve from this one, so what it holds is held once.
        (WEB_PARENT, {"granian", "structlog", "rich"}),
        (WORKER, HEAVY - NOT_FOR_WORKERS),
    ],
    ids=["supervisor", "sandbox child", "web", "worker"],
)
def test_a_process_loads_only_what_it_needs(code: str, allowed: set[str]) -> None:
    assert (loaded(code) & HEAVY) - allowed == set()


def test_the_supervisor_is_standard_library_alone() -> None:
    # What Python loads by itself differs between distributions.
    third = loaded(SUPERVISOR) - loaded("pass") - sys.stdlib_module_names
    assert third == {"backend"}
    assert "asyncio" not in loaded(SUPERVISOR)


def test_help_waits_for_no_model_and_no_page() -> None:
    assert loaded(COMMAND) & NOT_FOR_HELP == set()


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh process has after the code."""
    script = f"{code}; import sys; print('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
