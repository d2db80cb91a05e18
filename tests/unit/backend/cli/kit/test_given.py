"""BUS-8: the documents of `autoweave spec check` are anybody's: what stands for too much is refused at once."""

import os
import time
from pathlib import Path

import pytest

from backend.cli.kit.given import document
from backend.foundation.kernel.errors import Invalid

BOMB = "\n".join(["x: &a0 {type: string}", *(f"y{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, 40))])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (BOMB, "stands for more than"),
        ("[" * 100_000, "more than 100 deep"),
        ("a: " + "{a: " * 50_000, "more than 100 deep"),
        ('{"a":' * 300 + "1" + "}" * 300, "more than 100 deep"),
        ('{"a":' * 100_000, "neither YAML nor JSON"),
        ("channels: &a {c: *a}", "stands for what holds it"),
        ("a: *b", "for nothing"),
        ("a: \0", "neither YAML nor JSON"),
        ("a: !!python/object/apply:os.system ['true']", "neither YAML nor JSON"),
        ("x" * (9 * 1024 * 1024), "more than 8 MiB"),
    ],
    ids=range(10),
)
def test_a_document_that_stands_for_too_much_is_refused_at_once(text: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text(text)
    began = time.process_time()
    with pytest.raises(Invalid, match=cause):
        document(tmp_path / "one")
    assert time.process_time() - began < 10


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "missing", tmp_path / "nul\0"):
        with pytest.raises(Invalid):
            document(file)


def test_anchors_that_stand_for_little_are_read(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a: &x {type: string}\nb: *x\nc: &y 7\nd: *y\n")
    assert document(tmp_path / "one") == {"a": {"type": "string"}, "b": {"type": "string"}, "c": 7, "d": 7}
