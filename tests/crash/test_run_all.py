"""OPS-1, CHT-3, FLW-3: `autoweave run all` as a person runs it, with its processes killed one by one."""

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest

from backend.bootstrap import embedded
from tests.fixtures.app import RunningApp, require_pages
from tests.fixtures.processes import processes, until, valkey_pid

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

BACK_S = 60.0
ROLES = {"web": "run web", "worker": "run worker", "sandbox": "wasmtime.child"}


@pytest.fixture
def running(tmp_path: Path) -> Generator[RunningApp]:
    require_pages()
    started = RunningApp(tmp_path)
    try:
        yield started.ready()
    finally:
        started.stop()
    until(lambda: not processes(started.data), 10.0, lambda: "processes outlived their supervisor")


def status(running: RunningApp, path: str) -> int:
    try:
        with urllib.request.urlopen(running.url + path, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def of_role(running: RunningApp, role: str) -> list[int]:
    """The processes of a role, the oldest first."""
    found = [pid for pid in processes(running.data) if ROLES[role] in _command(pid)]
    return sorted(found)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_pages_and_api_are_served_and_a_signal_leaves_nothing(running: RunningApp) -> None:
    assert status(running, "/ready") == 200
    assert status(running, "/sign-in") == 200
    assert status(running, "/v1/agents") == 401
    assert "/setup?token=" in running.setup_url
    started = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.end(30.0) == 0
    assert time.monotonic() - started < 20
    assert processes(running.data) == []
    assert "Traceback" not in running.printed


def test_all_processes_end_with_a_killed_supervisor_and_the_next_start_works(
    running: RunningApp, tmp_path: Path
) -> None:
    assert len(processes(running.data)) >= 4
    running.process.kill()
    running.process.wait()
    until(lambda: not processes(running.data), 5.0, lambda: str([_command(pid) for pid in processes(running.data)]))
    again = RunningApp(tmp_path, {"AUTOWEAVE_PORT": str(running.port)})
    try:
        again.ready()
        assert status(running, "/ready") == 200
    finally:
        again.stop()


@pytest.mark.parametrize("which", [0, -1], ids=["the first web process", "the one that serves"])
def test_a_killed_web_process_is_back_by_itself(running: RunningApp, which: int) -> None:
    os.kill(of_role(running, "web")[which], signal.SIGKILL)
    running.wait_for("web (was ended|ended with).*it starts again")
    until(lambda: status(running, "/ready") == 200, BACK_S, lambda: running.printed)
    assert status(running, "/sign-in") == 200
    assert len(of_role(running, "web")) == 2


def test_a_killed_worker_is_back_by_itself_and_pages_do_not_notice(running: RunningApp) -> None:
    [worker] = of_role(running, "worker")
    os.kill(worker, signal.SIGKILL)
    running.wait_for("worker was ended by SIGKILL")
    assert status(running, "/ready") == 200
    until(lambda: len(re.findall("worker_ready", running.printed)) == 2, BACK_S, lambda: running.printed)
    assert of_role(running, "worker") != [worker]


def test_a_killed_valkey_is_back_by_itself_and_everybody_finds_it(running: RunningApp) -> None:
    """BUS-1."""
    os.kill(valkey_pid(running.data), signal.SIGKILL)
    running.wait_for("valkey was ended by SIGKILL")
    until(lambda: embedded.answers(running.data), 10.0, lambda: running.printed)
    until(lambda: status(running, "/ready") == 200, BACK_S, lambda: running.printed)
    assert running.printed.count("worker_ready") == 1


def test_a_frozen_web_process_stops_no_worker(running: RunningApp) -> None:
    served = of_role(running, "web")[-1]
    os.kill(served, signal.SIGSTOP)
    try:
        assert status(running, "/ready") == 0
        assert of_role(running, "worker")
    finally:
        os.kill(served, signal.SIGCONT)
    until(lambda: status(running, "/ready") == 200, BACK_S, lambda: running.printed)
