"""OPS-1: one command keeps everything alive on a machine, and leaves nothing behind."""

import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from backend.bootstrap import embedded
from tests.fixtures.processes import Running, ask_valkey, free_port, processes, until, valkey_pid

pytestmark = pytest.mark.integration

READY = "echo pid=$$ $WORDS; echo up > $NOTICE; exec sleep 600"
PREPARED = """echo '{"administrator": true, "setup_token": ""}' > $NOTICE"""
NOT_SET_UP = """echo '{"administrator": false, "setup_token": "made-up-token"}' > $NOTICE"""


class Supervised(Running):
    """A supervisor with scripts for children."""

    def __init__(self, folder: Path, scripts: dict[str, str], flags: dict[str, str]) -> None:
        self.data = folder / "data"
        scripts = {"prepare": PREPARED, "web": READY, "worker": READY, **scripts}
        spec = {"flags": {"data": str(self.data), "port": str(free_port()), **flags}, "scripts": scripts}
        super().__init__([sys.executable, "-m", "tests.fixtures.supervised", json.dumps(spec)], folder)

    def kill_worker(self) -> str:
        """Kill the first worker and return its id."""
        os.kill(int(self.wait_for(r"worker   \| pid=(\d+)")), signal.SIGKILL)
        return self.wait_for(r"--worker-id (wrk_\S+)")


Start = Callable[..., Supervised]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    started: list[Supervised] = []

    def begin(flags: dict[str, str] | None = None, **scripts: str) -> Supervised:
        started.append(Supervised(tmp_path, scripts, flags or {}))
        return started[-1]

    yield begin
    for running in started:
        running.process.kill()
        running.process.wait()
    until(lambda: not processes(tmp_path / "data"), 5.0, lambda: "children outlived the test")


def test_it_is_ready_when_all_children_are_and_a_signal_ends_them_in_order(start: Start) -> None:
    leaving = "trap 'sleep 0.3; echo the web leaves; exit 0' TERM; echo up > $NOTICE; sleep 600 & wait"
    running = start(web=leaving)
    running.wait_for(r"AutoWeave is ready at http://127\.0\.0\.1:")
    assert embedded.answers(running.data)
    assert len(processes(running.data)) >= 3
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("Stopping")
    assert embedded.answers(running.data)
    assert running.end() == 0
    assert "web      | the web leaves" in running.printed
    assert "Setup:" not in running.printed
    assert processes(running.data) == []


def test_the_setup_link_is_printed_until_there_is_an_administrator(start: Start) -> None:
    """IDN-1."""
    start(prepare=NOT_SET_UP).wait_for(r"Setup: http://127\.0\.0\.1:\d+/setup\?token=made-up-token")


def test_an_address_that_others_reach_needs_an_administrator(start: Start) -> None:
    """IDN-1."""
    running = start({"host": "0.0.0.0"}, prepare=NOT_SET_UP)
    assert running.end() == 2
    assert "does not listen on 0.0.0.0 as long as it has no administrator" in running.printed
    assert "autoweave admin create" in running.printed
    assert "pid=" not in running.printed


def test_an_address_that_others_reach_is_fine_with_an_administrator(start: Start) -> None:
    """IDN-1."""
    start({"host": "0.0.0.0"}).wait_for("AutoWeave is ready")


def test_a_second_start_on_the_data_folder_is_refused(start: Start) -> None:
    first = start()
    url = first.wait_for(r"ready at (http://\S+)")
    second = start()
    assert second.end() == 2
    assert f"process {first.process.pid}, started 2" in second.printed
    assert url in second.printed


def test_children_die_with_a_killed_supervisor_and_the_next_start_is_free(start: Start) -> None:
    first = start()
    first.wait_for("AutoWeave is ready")
    first.process.kill()
    first.process.wait()
    start().wait_for("AutoWeave is ready")


def test_a_crashed_worker_starts_again_and_gives_back_the_leases_of_the_dead_one(start: Start) -> None:
    """FLW-3."""
    running = start()
    running.wait_for("AutoWeave is ready")
    old = running.kill_worker()
    running.wait_for(r"worker was ended by SIGKILL; it starts again in 0\.2 s")
    running.wait_for(rf"--worker-id wrk_(?!{old[4:]})\S+ .*--replaces {old}")


def test_what_a_dead_child_had_started_is_ended_too(start: Start) -> None:
    running = start(worker="sleep 601 & echo left=$!; echo pid=$$ $WORDS; echo up > $NOTICE; wait")
    running.wait_for("AutoWeave is ready")
    left = running.wait_for(r"left=(\d+)")
    running.kill_worker()
    until(lambda: not Path(f"/proc/{left}").exists(), 5.0, lambda: "it outlived its parent")
    running.wait_for(r"(?s)left=.*left=\d+")
    running.process.terminate()
    assert running.end() == 0
    assert processes(running.data) == []


def test_a_child_that_keeps_crashing_is_given_up_with_its_last_words(start: Start) -> None:
    running = start(worker="echo the worker is broken; exit 1")
    assert running.end(60.0) == 1
    assert "worker ended with code 1, more than 6 times in 120 s. AutoWeave gives up" in running.printed
    assert "  the worker is broken" in running.printed
    assert "autoweave doctor" in running.printed
    assert processes(running.data) == []


def test_a_child_that_was_told_something_impossible_is_not_started_again(start: Start) -> None:
    running = start(web="echo 'Error: no pages'; exit 2")
    assert running.end() == 2
    assert "starts again" not in running.printed


def test_a_failed_preparation_ends_the_start(start: Start) -> None:
    """OPS-3."""
    running = start(prepare="echo 'Error: the database is down'; exit 1")
    assert running.end() == 1
    assert "prepare  | Error: the database is down" in running.printed


def test_a_second_signal_ends_what_will_not_leave(start: Start) -> None:
    running = start(web="trap '' TERM; echo up > $NOTICE; while :; do sleep 1; done")
    running.wait_for("AutoWeave is ready")
    running.process.send_signal(signal.SIGINT)
    running.wait_for("Stopping: ")
    running.process.send_signal(signal.SIGINT)
    assert running.end(5.0) == 0


def test_a_killed_valkey_comes_back_with_its_data(start: Start) -> None:
    """BUS-1."""
    running = start()
    running.wait_for("AutoWeave is ready")
    ask_valkey(running.data, b"SET kept yes")
    os.kill(valkey_pid(running.data), signal.SIGKILL)
    running.wait_for("valkey was ended by SIGKILL")
    until(lambda: embedded.answers(running.data), 10.0, lambda: running.printed)
    assert b"yes" in ask_valkey(running.data, b"GET kept")


def test_json_lines_are_left_as_children_write_them(start: Start) -> None:
    """OBS-1."""
    quiet = 'echo \'{"event": "hello"}\'; echo up > $NOTICE; exec sleep 600'
    running = start({"log_format": "json"}, web=quiet, worker=quiet)
    running.wait_for("AutoWeave is ready")
    assert {"hello"} < {json.loads(line)["event"] for line in running.printed.splitlines()}


def test_with_a_server_of_ones_own_the_bundled_one_is_not_started(start: Start) -> None:
    running = start({"redis_url": "redis://127.0.0.1:1"})
    running.wait_for("AutoWeave is ready")
    assert not embedded.folder(running.data).exists()


def test_several_workers_are_told_apart(start: Start, tmp_path: Path) -> None:
    """OPS-2."""
    running = start({"workers": "2"}, **{"worker-1": READY, "worker-2": READY})
    running.wait_for("AutoWeave is ready")
    assert running.wait_for("worker-1 | pid=")
    assert running.wait_for("worker-2 | pid=")
