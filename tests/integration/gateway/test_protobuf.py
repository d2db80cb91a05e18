"""BUS-6: the Protobuf files of the payloads, judged by the public checker."""

import shutil
from pathlib import Path

import msgspec
import pytest

from backend.foundation.events.types import CATALOGUE, EventType
from backend.reads.protobuf import PACKAGE
from tests.fixtures.buf import buf

pytestmark = pytest.mark.integration

PROTO = Path(__file__).resolve().parents[3] / "proto"
FILE = Path("autoweave") / "events" / "v1" / "events.proto"


def test_the_checker_finds_nothing() -> None:
    done = buf("lint", folder=PROTO)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_an_example_goes_through_its_message_unchanged(entry: EventType) -> None:
    sent = msgspec.json.encode(entry.example)
    name = f"{PACKAGE}.{entry.data.__name__}"
    binary = buf("convert", ".", "--type", name, "--from", "-#format=json", "--to", "-", folder=PROTO, stdin=sent)
    assert binary.returncode == 0, binary.stderr
    told = buf(
        "convert", ".", "--type", name, "--to", "-#format=json", "--from", "-#format=binpb", folder=PROTO,
        stdin=binary.stdout,
    )  # fmt: skip
    assert msgspec.json.decode(told.stdout, type=entry.data, strict=False) == entry.example


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ("optional string output = ", "optional int64 output = ", True),
        ("string output = 7", "string output = 99", True),
        ('  optional string output = 7 [json_name = "output"];\n', "", True),
        ("message RunFinished {", "message RunFinished {\n  string more = 900;", False),
    ],
)
def test_a_change_is_judged_as_the_asyncapi_document_is(tmp_path: Path, old: str, new: str, breaks: bool) -> None:
    changed = tmp_path / "proto"
    shutil.copytree(PROTO, changed)
    text = (changed / FILE).read_text()
    assert old in text
    (changed / FILE).write_text(text.replace(old, new))
    done = buf("breaking", "--against", str(PROTO), folder=changed)
    assert (done.returncode != 0) is breaks, done.stdout
