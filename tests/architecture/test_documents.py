"""House rule: documents are tests; what the code offers is written down (OPS-5)."""

import subprocess
import sys

from backend.bootstrap.settings import SETTINGS
from backend.foundation.events.types import CATALOGUE
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
    """Settings, commands, events and error codes: `make docs` writes them."""
    check = [sys.executable, "scripts/docs.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_setting_and_event_type_is_in_a_guide() -> None:
    words = "\n".join(guide.read_text() for guide in GUIDES.glob("*.md"))
    names = [setting.variable for setting in SETTINGS] + list(CATALOGUE)
    assert [name for name in names if f"`{name}`" not in words] == []


def test_make_says_what_each_of_its_targets_does() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS:
        assert f"make {target} " in listed
