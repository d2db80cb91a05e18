"""TOL-1, TOL-8. The starter tools that are checked in are those that their sources give."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.domain.tools.service.starters import starters
from tests.integration.domain.tools.starter_guest import STARTER

pytestmark = pytest.mark.integration


def test_a_build_gives_the_same_bytes(tmp_path: Path) -> None:
    """It needs the package registry of npm, once; without it there is nothing to compare."""
    built = subprocess.run(
        [sys.executable, str(STARTER / "build.py"), "--into", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    if any(code in built.stderr for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN")):
        pytest.skip("the package registry of npm cannot be reached")
    assert built.returncode == 0, built.stderr
    for package in starters():
        assert (tmp_path / package.manifest.wasm).read_bytes() == package.code


def test_the_lock_names_no_host() -> None:
    assert "resolved" not in (STARTER / "package-lock.json").read_text()


def test_every_starter_names_its_digest_and_has_a_readme() -> None:
    """TOL-3."""
    for package in starters():
        assert package.manifest.sha256 == package.sha256
        readme = (STARTER / package.manifest.id.rpartition(".")[2] / "README.md").read_text()
        assert package.manifest.id in readme
