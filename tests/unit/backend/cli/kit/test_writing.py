"""BUS-8: generating again keeps what a person wrote, and nothing is ever written or removed outside the folder."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli.kit.project import File
from backend.cli.kit.writing import BESIDE, MANIFEST, PART, UnsafeOutput, write
from tests.fixtures.processes import ROOT

FILES = {"a.txt": File("one\n"), "deep/er/b.txt": File("two\n"), "mine.py": File("three\n", yours=True)}


def test_a_folder_is_made_and_is_then_as_the_spec_says(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    assert sorted(write(FILES, folder).written) == sorted(FILES)
    assert (folder / "deep/er/b.txt").read_text() == "two\n"
    assert not write(FILES, folder).changes
    assert {entry.name for entry in folder.iterdir()} == {"a.txt", "deep", "mine.py", MANIFEST}


def test_what_would_change_is_told_and_not_done(tmp_path: Path) -> None:
    assert write(FILES, tmp_path / "out", dry=True).changes
    assert not (tmp_path / "out").exists()
    write(FILES, tmp_path)
    outcome = write({**FILES, "a.txt": File("other\n")}, tmp_path, dry=True)
    assert (outcome.written, (tmp_path / "a.txt").read_text()) == (["a.txt"], "one\n")


def test_generated_files_follow_the_spec_and_yours_stay(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    (tmp_path / "mine.py").write_text("my own\n")
    outcome = write({"a.txt": File("new\n"), "mine.py": File("other\n", yours=True)}, tmp_path)
    assert (outcome.written, outcome.removed, outcome.kept) == (["a.txt"], ["deep/er/b.txt"], [])
    assert (tmp_path / "mine.py").read_text() == "my own\n"
    assert not (tmp_path / "deep/er/b.txt").exists()


def test_a_generated_file_that_was_changed_is_kept_with_the_new_one_beside_it(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    (tmp_path / "a.txt").write_text("changed by hand\n")
    (tmp_path / "deep/er/b.txt").write_text("this one too\n")
    newer = {"a.txt": File("newer\n")}
    for _ in range(2):
        outcome = write(newer, tmp_path)
        assert (outcome.kept, outcome.written) == (["a.txt"], [])
        assert (tmp_path / "a.txt").read_text() == "changed by hand\n"
        assert (tmp_path / f"a.txt{BESIDE}").read_text() == "newer\n"
    assert (tmp_path / "deep/er/b.txt").read_text() == "this one too\n"
    # Who takes the new one over, or deletes his own, is in line again.
    (tmp_path / "a.txt").unlink()
    assert write(newer, tmp_path).written == ["a.txt"]
    assert not write(newer, tmp_path).changes


def test_the_new_version_is_cleared_away_once_it_is_taken_over(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    (tmp_path / "a.txt").write_text("changed by hand\n")
    newer = {**FILES, "a.txt": File("newer\n")}
    write(newer, tmp_path)
    (tmp_path / "a.txt").write_text("newer\n")
    (tmp_path / f"mine.py{BESIDE}").write_text("three\n")
    assert write(newer, tmp_path).removed == [f"a.txt{BESIDE}"]
    assert not write(newer, tmp_path).changes
    assert (tmp_path / f"mine.py{BESIDE}").exists()


def test_what_belongs_to_an_agent_that_is_gone_is_named_until_it_is_removed(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    renamed = {"a.txt": FILES["a.txt"], "hers.py": File("three\n", yours=True)}
    for _ in range(2):
        outcome = write(renamed, tmp_path)
        assert outcome.left == ["mine.py"]
        assert (tmp_path / "mine.py").read_text() == "three\n"
    (tmp_path / "mine.py").unlink()
    assert write(renamed, tmp_path).left == []


KILLED = """
import resource, signal, sys
from pathlib import Path
from backend.cli.kit.project import File
from backend.cli.kit.writing import write
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
files = {"a.txt": File("half\\n"), "m.txt": File("x" * 200_000), "z.txt": File("half\\n")}
write(files, Path(sys.argv[1]))
"""


def test_what_a_killed_one_had_written_is_not_taken_for_a_persons_work(tmp_path: Path) -> None:
    """It is killed in the middle of the second file; the spec is another one when it is started again."""
    for before in ({}, {"a.txt": File("first\n"), "z.txt": File("first\n")}):
        folder = tmp_path / str(len(before))
        if before:
            write(before, folder)
        done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, check=False, timeout=60)
        assert done.returncode == -signal.SIGXFSZ
        assert (folder / "a.txt").read_text() == "half\n"
        assert (folder / PART).exists()
        newer = {name: File("newer\n") for name in ("a.txt", "m.txt", "z.txt")}
        outcome = write(newer, folder)
        assert (outcome.kept, sorted(outcome.written)) == ([], sorted(newer))
        assert {entry.name for entry in folder.iterdir()} == {*newer, MANIFEST}
        (folder / "a.txt").write_text("by hand\n")
        assert write(FILES, folder).kept == ["a.txt"]


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(UnsafeOutput, match="Another command"):
        write({}, tmp_path)
    assert not write(FILES, tmp_path, dry=True).changes
    os.close(other)
    assert write({}, tmp_path).removed == ["a.txt", "deep/er/b.txt"]


def test_what_is_there_before_the_first_time_is_nobodys_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("precious\n")
    assert write(FILES, tmp_path).kept == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "precious\n"


def test_links_are_refused_wherever_they_are(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("precious\n")
    for number, (place, target) in enumerate(
        [("a.txt", outside / "b.txt"), ("deep", outside), ("deep/er", outside), ("deep/er/b.txt", outside / "b.txt"),
         (MANIFEST, outside / "b.txt"), ("a.txt", outside / "missing")]
    ):  # fmt: skip
        folder = tmp_path / str(number)
        (folder / place).parent.mkdir(parents=True)
        (folder / place).symlink_to(target)
        with pytest.raises(UnsafeOutput):
            write(FILES, folder)
        assert {entry.name: entry.read_text() for entry in outside.iterdir()} == {"b.txt": "precious\n"}
    link = tmp_path / "link"
    link.symlink_to(outside)
    with pytest.raises(UnsafeOutput):
        write(FILES, link)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "a.txt").write_text("by hand\n")
    (tmp_path / "beside" / "a.txt.new").symlink_to(outside / "b.txt")
    with pytest.raises(UnsafeOutput):
        write(FILES, tmp_path / "beside")
    assert (outside / "b.txt").read_text() == "precious\n"


def test_a_manifest_that_somebody_made_up_removes_nothing_outside(tmp_path: Path) -> None:
    folder, precious = tmp_path / "project", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("precious\n")
    digest = "5e0f2cb48a0a1b0cd0c3d7d4a8e2c5ee1bb5b1a8b9b0d3d3c6b1c3f8ce0f8f5b"
    names = ["../precious", str(precious), "deep/../../precious", ".git/config", "a\0b", "x" * 5000, "", "."]
    (folder / MANIFEST).write_text(json.dumps({"files": dict.fromkeys(names, digest)}))
    write(FILES, folder)
    assert precious.read_text() == "precious\n"
    for wrong in ("[]", "{", "[" * 100_000):
        (folder / MANIFEST).write_text(wrong)
        with pytest.raises(UnsafeOutput, match=MANIFEST):
            write(FILES, folder)


def test_what_is_no_folder_or_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "project").mkdir()
    os.mkfifo(tmp_path / "project" / "a.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").mkdir()
    for folder in ("file", "pipe", "project", "other", "file/below", "nul\0", "x" * 300):
        with pytest.raises(UnsafeOutput):
            write(FILES, tmp_path / folder)


@pytest.mark.parametrize("path", ["../a", "/etc/a", "a/../../b", ".git/hooks/a", "", "a//b", "a\nb", "a b"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UnsafeOutput):
        write({path: File("x")}, tmp_path / "project")
    assert [entry.name for entry in tmp_path.iterdir()] in ([], ["project"])
