"""House rule: documents are tests; what the code offers is written down (OPS-5)."""

import subprocess
import sys

import msgspec

from backend.bootstrap.settings import SETTINGS
from backend.foundation.events.rules.changes import compare
from backend.foundation.events.types import CATALOGUE
from backend.reads.asyncapi import document
from tests.architecture.source import ROOT

TARGETS = (
    "setup",
    "run",
    "test",
    "check",
    "fix",
    "e2e",
    "crash",
    "bench",
    "soak",
    "kafka",
    "doctor",
    "docs",
    "lock",
    "migration",
)
GUIDES = ROOT / "docs" / "guides"


def test_the_tables_of_the_guides_are_as_the_code_says() -> None:
    """Settings, commands, events, error codes and the AsyncAPI document (BUS-6): `make docs` writes them."""
    check = [sys.executable, "scripts/docs.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_events_break_nobody_who_uses_the_written_document() -> None:
    """BUS-6: what was agreed on is added to, or changed on purpose by `scripts/docs.py --breaking`."""
    agreed = msgspec.yaml.decode((ROOT / "docs" / "asyncapi.yaml").read_bytes())
    assert [one for one in compare(agreed, document()) if one.breaking] == []


def test_every_setting_and_event_type_is_in_a_guide() -> None:
    words = "\n".join(guide.read_text() for guide in GUIDES.glob("*.md"))
    names = [setting.variable for setting in SETTINGS] + list(CATALOGUE)
    assert [name for name in names if f"`{name}`" not in words] == []


def test_make_says_what_each_of_its_targets_does() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS:
        assert f"make {target} " in listed
