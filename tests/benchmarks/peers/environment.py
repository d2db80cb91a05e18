"""Environments of their own for peers, so that none of their packages is ever beside the product's."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fixtures.processes import ROOT

PEERS = Path(__file__).parent
_UV = ROOT / ".tools" / "uv" / "bin" / "uv"


def peer_python(name: str) -> Path:
    """Return the Python that has the packages of ``NAME.txt``; make its environment where none is of these versions."""
    lock, environment = PEERS / f"{name}.txt", ROOT / ".tools" / f"bench-{name}"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    python, mark = environment / "bin" / "python", environment / "made-by"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([_UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        install = [_UV, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", lock]
        subprocess.run(install, check=True)
        mark.write_text(wanted)
    return python


def peer_version(name: str) -> str:
    """Return the version of the package that the environment is named after, as ``name==version``."""
    lines = (PEERS / f"{name}.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}==")).split()[0]
