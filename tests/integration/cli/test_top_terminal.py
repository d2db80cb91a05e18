"""BUS-10: `autoweave top` on a real terminal, which it leaves as it found it, and its one look for programs."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.fixtures.processes import ROOT, free_port

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"
COMMAND = [sys.executable, "-m", "backend", "top"]
IN, OUT = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"
COLOUR = re.compile(rb"\x1b\[(?:[\d;:]*[;:])?(?:3[0-8]|4[0-8]|9\d|10\d)[\d;:]*m")
MORE_THAN_16 = re.compile(rb"\x1b\[(?:[\d;:]*[;:])?[34]8[;:]")
Once = Callable[..., subprocess.CompletedProcess[str]]


class Terminal:
    """The command on a terminal of 80 x 24, with nothing on its standard streams but that."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.own, its = pty.openpty()
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(its)
        self._its = its
        self.drawn = b""
        self.process = subprocess.Popen(
            COMMAND, stdin=its, stdout=its, stderr=its, env=environment, cwd=ROOT, start_new_session=True
        )

    @property
    def now(self) -> list:
        return termios.tcgetattr(self._its)

    def until(self, done: Callable[[], bool], deadline_s: float = 60.0) -> None:
        """Read what is drawn until it is done."""
        deadline = time.monotonic() + deadline_s
        while not done():
            assert time.monotonic() < deadline, self.drawn
            if select.select([self.own], [], [], 0.05)[0]:
                self.drawn += os.read(self.own, 65_536)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.own)
        os.close(self._its)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An installation with one tenant, and neither Valkey nor any process of it at work."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOWEAVE_", "NO_COLOR"))}
    data = str(tmp_path_factory.mktemp("top") / "data")
    given = kept | {"AUTOWEAVE_DATA": data, "AUTOWEAVE_PORT": str(free_port()), "TERM": "xterm", "COLORTERM": ""}
    for words in (("migrate",), ("admin", "create", "--email", "ada@example.org", "--password-stdin")):
        subprocess.run(
            [*COMMAND[:-1], *words],
            input=f"{PASSWORD}\n",
            text=True,
            env=given,
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    return given


@pytest.fixture
def terminal(surroundings: dict[str, str], request: pytest.FixtureRequest) -> Generator[Terminal]:
    opened = Terminal(surroundings | getattr(request, "param", {}))
    yield opened
    opened.close()


@pytest.fixture
def once(surroundings: dict[str, str]) -> Once:
    """One look, without a terminal."""

    def look(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            env=surroundings | more,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return look


@pytest.mark.parametrize("end", ["ctrl+c", "q", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_left_as_it_was(terminal: Terminal, end: str) -> None:
    terminal.until(lambda: b"Valkey does not answer" in terminal.drawn)
    assert IN in terminal.drawn
    assert terminal.now != terminal.before
    if end.startswith("SIG"):
        terminal.process.send_signal(signal.Signals[end])
    else:
        os.write(terminal.own, {"ctrl+c": b"\x03", "q": b"q"}[end])
    terminal.until(lambda: terminal.process.poll() is not None)
    assert terminal.process.returncode == 0
    terminal.until(lambda: OUT in terminal.drawn)
    after = terminal.drawn[terminal.drawn.index(IN) :]
    assert after.rindex(SHOW_CURSOR) > after.rindex(b"\x1b[?25l")
    # No mouse was asked for: the terminal's own selection stays.
    assert b"\x1b[?1000h" not in after
    assert b"Traceback" not in after
    assert terminal.now == terminal.before


@pytest.mark.parametrize("terminal", [{"NO_COLOR": "1"}, {"TERM": "linux"}, {"TERM": "xterm"}], indirect=True)
def test_it_draws_with_16_colours_and_with_none(terminal: Terminal, request: pytest.FixtureRequest) -> None:
    terminal.until(lambda: b"Valkey does not answer" in terminal.drawn and b"Quit" in terminal.drawn)
    assert MORE_THAN_16.search(terminal.drawn) is None
    coloured = {found[0] for found in COLOUR.finditer(terminal.drawn)}
    if "NO_COLOR" in request.node.callspec.params["terminal"]:
        assert coloured == set()
    else:
        assert coloured


def test_one_look_is_text_or_json(once: Once, valkey_url: str, valkey_namespace: str) -> None:
    there = {"AUTOWEAVE_REDIS_URL": valkey_url, "AUTOWEAVE_NAMESPACE": valkey_namespace}
    done = once("--json", **there)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [topic["name"] for topic in found["topics"]][:2] == ["aw.agents", "aw.cards"]
    assert found["topics"][0]["per_s"] == 0
    assert found["agents"][0]["slug"] == "concierge"
    assert (found["dead_letters_waiting"], found["troubles"]) == (0, [])
    # It is told from a command, which serves no page.
    assert next(part for part in found["parts"] if part["name"] == "web")["status"] == "failed"
    told = once("--once", **there)
    assert told.returncode == 0, told.stderr
    assert all(
        words in told.stdout for words in ("TOPICS", "aw.dead.chat", "concierge", "HEALTH", "No event was given up")
    )


def test_a_look_at_what_is_away_tells_the_rest_with_code_1(once: Once) -> None:
    done = once("--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["agents"][0]["slug"] == "concierge"
    assert found["topics"] == []
    assert found["troubles"][0]["message"] == "Valkey does not answer."
    assert found["troubles"][0]["hint"]


@pytest.mark.parametrize(
    ("words", "told"),
    [((), "--once or --json"), (("--every", "0"), "--every"), (("--json", "--tenant", "nobody"), "nobody")],
)
def test_what_cannot_be_done_is_named_with_the_fix(once: Once, words: tuple[str, ...], told: str) -> None:
    done = once(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Fix: " in done.stderr


def test_tables_of_another_version_are_named(once: Once, tmp_path: Path) -> None:
    done = once("--json", AUTOWEAVE_DATA=str(tmp_path / "new"))
    assert done.returncode == 1
    assert "autoweave migrate" in done.stderr
