"""BUS-6, BUS-8: `autoweave spec`, as people type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from backend.reads.asyncapi import document
from tests.fixtures.processes import ROOT, free_port

pytestmark = pytest.mark.integration


def autoweave(data: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command on an installation in this folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOWEAVE_")}
    environment |= {"AUTOWEAVE_DATA": str(data), "AUTOWEAVE_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "backend", *words],
        input=given, capture_output=True, text=True, env=environment, cwd=ROOT, check=False,
    )  # fmt: skip


def test_the_whole_document_needs_no_installation(tmp_path: Path) -> None:
    nowhere = tmp_path / "data"
    assert json.loads(autoweave(nowhere, "spec", "asyncapi", "--json").stdout) == document()
    assert msgspec.yaml.decode(autoweave(nowhere, "spec", "asyncapi").stdout) == document()
    assert not nowhere.exists()


def test_an_agents_document_comes_from_its_installation(tmp_path: Path) -> None:
    autoweave(tmp_path, "migrate")
    autoweave(tmp_path, "admin", "create", "--email", "a@example.org", "--password-stdin", given="correct horse 7\n")
    told = json.loads(autoweave(tmp_path, "spec", "asyncapi", "--agent", "concierge", "--json").stdout)
    assert told["info"]["title"] == "Concierge"
    assert told["components"]["schemas"]["StartRun"]["properties"]["agent"]["enum"][0] == "concierge"
    missing = autoweave(tmp_path, "spec", "asyncapi", "--agent", "nobody")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "Fix:" in missing.stderr
