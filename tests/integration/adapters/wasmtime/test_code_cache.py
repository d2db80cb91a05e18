"""TOL-2. Compiled code on disk: used again, bounded, and never believed without its check."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.adapters.wasmtime.sandbox import WasmtimeSandbox
from backend.domain.tools.ports import SandboxResult
from tests.integration.adapters.wasmtime.guests import answering, call_of

pytestmark = pytest.mark.integration
Open = Callable[..., WasmtimeSandbox]
ONE, TWO = answering('{"ok": 1}'), answering('{"ok": 2}')


async def fresh_call(open_sandbox: Open, folder: Path, code: bytes, **settings: int) -> SandboxResult:
    """A call of a sandbox that has just started: it has nothing but what is on disk."""
    sandbox = open_sandbox(folder=folder, **settings)
    result = await sandbox.call(call_of(code))
    await sandbox.close()
    assert result.outcome == "ok"
    return result


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "code").iterdir())


async def test_code_is_compiled_once_and_found_by_the_next_process(open_sandbox: Open, tmp_path: Path) -> None:
    assert (await fresh_call(open_sandbox, tmp_path, ONE)).cache == "miss"
    assert (await fresh_call(open_sandbox, tmp_path, ONE)).cache == "hit"


async def test_code_and_key_are_for_this_user_alone(open_sandbox: Open, tmp_path: Path) -> None:
    await fresh_call(open_sandbox, tmp_path, ONE)
    for path in (tmp_path / "code.key", *stored(tmp_path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "code").stat().st_mode) == 0o700
    assert names_in(tmp_path) == {"code", "code.key", "empty"}


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [flip_a_bit, truncate, empty])
async def test_harmed_code_is_thrown_away_and_compiled_again(
    open_sandbox: Open, tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    await fresh_call(open_sandbox, tmp_path, ONE)
    (path,) = stored(tmp_path)
    good = path.read_bytes()
    harm(path)
    with caplog.at_level(logging.WARNING):
        result = await fresh_call(open_sandbox, tmp_path, ONE)
    assert (result.cache, result.output) == ("miss", b"1")
    assert "failed its check" in caplog.text
    assert len(path.read_bytes()) == len(good)


async def test_code_under_the_name_of_other_code_is_thrown_away(open_sandbox: Open, tmp_path: Path) -> None:
    """Both files are authentic; only their names are swapped."""
    await fresh_call(open_sandbox, tmp_path, ONE)
    await fresh_call(open_sandbox, tmp_path, TWO)
    first, second = stored(tmp_path)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for code, output in ((ONE, b"1"), (TWO, b"2")):
        result = await fresh_call(open_sandbox, tmp_path, code)
        assert (result.cache, result.output) == ("miss", output)


async def test_code_of_another_installation_is_thrown_away(open_sandbox: Open, tmp_path: Path) -> None:
    await fresh_call(open_sandbox, tmp_path / "theirs", ONE)
    await fresh_call(open_sandbox, tmp_path / "ours", TWO)
    (path,) = stored(tmp_path / "theirs")
    (tmp_path / "ours" / "code" / path.name).write_bytes(path.read_bytes())
    assert (await fresh_call(open_sandbox, tmp_path / "ours", ONE)).cache == "miss"


@pytest.mark.parametrize("key", [b"", b"short"])
async def test_a_broken_key_is_made_anew_and_nothing_old_is_believed(
    open_sandbox: Open, tmp_path: Path, key: bytes
) -> None:
    await fresh_call(open_sandbox, tmp_path, ONE)
    (tmp_path / "code.key").write_bytes(key)
    assert (await fresh_call(open_sandbox, tmp_path, ONE)).cache == "miss"
    assert len((tmp_path / "code.key").read_bytes()) == 32
    assert (await fresh_call(open_sandbox, tmp_path, ONE)).cache == "hit"


async def test_the_least_recently_used_code_is_evicted(open_sandbox: Open, tmp_path: Path) -> None:
    await fresh_call(open_sandbox, tmp_path, ONE)
    (first,) = stored(tmp_path)
    size = first.stat().st_size
    os.utime(first, (1, 1))
    await fresh_call(open_sandbox, tmp_path, TWO, cache=2 * size + 100)
    assert len(stored(tmp_path)) == 2
    os.utime(first, (1, 1))
    await fresh_call(open_sandbox, tmp_path, answering('{"ok": 3}'), cache=2 * size + 100)
    assert len(stored(tmp_path)) == 2
    assert first not in stored(tmp_path)


async def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_call(
    open_sandbox: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = open_sandbox(folder=tmp_path)
    (tmp_path / "code").rmdir()
    with caplog.at_level(logging.WARNING):
        assert (await sandbox.call(call_of(ONE))).outcome == "ok"
    assert "cannot be stored" in caplog.text


async def test_authentic_code_that_wasmtime_does_not_take_is_compiled_again(
    open_sandbox: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as code of another processor, after the data folder has moved."""
    sandbox = open_sandbox(folder=tmp_path)
    call = call_of(ONE)
    sandbox._compiler._cache.put(call.sha256, b"code of another machine")
    with caplog.at_level(logging.WARNING):
        assert (await sandbox.call(call)).output == b"1"
    assert "was not taken" in caplog.text
    assert (await sandbox.health()).kills == 0
