"""OPS-1: the parts of the supervisor that decide, without processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backend.bootstrap import embedded
from backend.bootstrap.entrance import NoAdministrator, check_address
from backend.bootstrap.settings import load
from backend.bootstrap.supervisor.budget import LIMIT, LONGEST_DELAY_S, WINDOW_S, CrashBudget
from backend.bootstrap.supervisor.lock import AlreadyRunning, DataLock
from backend.bootstrap.supervisor.output import Output
from backend.bootstrap.supervisor.probe import PortTaken, address, require_free, serves


def test_the_delay_doubles_until_the_budget_is_spent() -> None:
    budget = CrashBudget()
    delays = [budget.spend(float(second)) for second in range(LIMIT + 1)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, None]
    assert max(delay for delay in delays if delay is not None) <= LONGEST_DELAY_S


def test_crashes_of_long_ago_are_forgotten() -> None:
    budget = CrashBudget()
    for crash in range(50):
        assert budget.spend(crash * (WINDOW_S + 1)) == 0.2


def test_lines_get_their_name_and_pieces_are_joined() -> None:
    read, write = os.pipe()
    output = Output("web", write)
    output.feed(b"one\ntw")
    output.feed(b"o\nrest")
    output.close()
    assert os.read(read, 1024) == b"web      | one\nweb      | two\nweb      | rest\n"
    assert list(output.last) == ["one", "two", "rest"]
    for end in (read, write):
        os.close(end)


def test_a_line_without_end_is_bounded() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    output = Output("", write)
    for _ in range(5):
        output.feed(b"x" * 30_000)
    assert len(output.last) == 1
    for end in (read, write):
        os.close(end)


def test_output_that_nobody_reads_stops_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    Output("web", write).feed(b"line\n")
    os.close(write)


def test_a_lock_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from backend.bootstrap.supervisor.lock import DataLock\n"
    code += "DataLock(Path(sys.argv[1]), 'http://x'); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(AlreadyRunning, match=f"process {holder.pid}, started .* at http://x"):
        DataLock(tmp_path, "http://y")
    holder.communicate()
    DataLock(tmp_path, "http://y").release()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_deep_data_folder_has_its_socket_elsewhere() -> None:
    usual = embedded.socket_path(Path("/data"))
    deep = embedded.socket_path(Path("/data") / ("x" * 120))
    assert usual == Path("/data/valkey/valkey.sock")
    assert len(str(deep)) < 100
    assert deep != embedded.socket_path(Path("/data") / ("y" * 120))


def test_the_bundled_valkey_keeps_what_it_has_acknowledged(tmp_path: Path) -> None:
    """BUS-1."""
    words = " ".join(embedded.command(tmp_path))
    for option in ("--appendonly yes", "--maxmemory-policy noeviction", "--port 0", "--unixsocketperm 700"):
        assert option in words
    assert not embedded.answers(tmp_path)


def test_without_a_program_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(embedded.NoValkey) as caught:
        embedded.command(tmp_path)
    assert "AUTOWEAVE_REDIS_URL" in caught.value.hint


def test_a_folder_of_anybody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IDN-6."""
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(embedded.NoValkey, match="belongs to another user"):
        embedded.command(tmp_path)


def test_only_this_machine_may_enter_before_there_is_an_administrator() -> None:
    """IDN-1."""
    check_address(load({"host": "127.0.0.1"}, environ={}), administrator=False)
    check_address(load({"host": "0.0.0.0"}, environ={}), administrator=True)
    with pytest.raises(NoAdministrator):
        check_address(load({"host": "0.0.0.0"}, environ={}), administrator=False)


def test_a_port_in_use_is_told_with_the_fix() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = load({"port": str(taken.getsockname()[1])}, environ={})
        with pytest.raises(PortTaken) as caught:
            require_free(settings)
        assert not serves(settings)
    assert "--port" in caught.value.hint
    require_free(settings)


@pytest.mark.parametrize(("host", "expected"), [("localhost", "127.0.0.1"), ("::1", "::1"), ("0.0.0.0", "0.0.0.0")])
def test_a_name_is_listened_on_by_its_address(host: str, expected: str) -> None:
    assert address(load({"host": host}, environ={})) == expected


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(PortTaken, match=r"nowhere\.invalid is no address of this machine"):
        address(load({"host": "nowhere.invalid"}, environ={}))
