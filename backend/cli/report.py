"""How a command tells that it could not do what was asked: the cause, the fix, and never a traceback."""

import sys

from backend.cli.terminal import plain
from backend.foundation.kernel.errors import AutoWeaveError

WRONG_USE = 2
FAILED = 1


def report(error: AutoWeaveError) -> int:
    """Print cause and fix to stderr; return the exit code: 2 for what the person can correct, 1 for the rest."""
    print(plain(f"Error: {error.message}\nFix: {error.hint}", lines=True), file=sys.stderr)
    return WRONG_USE if 400 <= error.status < 500 else FAILED
