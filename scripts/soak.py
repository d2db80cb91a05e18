#!/usr/bin/env python3
"""Repeat the crash tests until the minutes are over: ``soak.py MINUTES``. Each round has other moments of death."""

import subprocess
import sys
import time


def main(minutes: float) -> int:
    """Return 0 when every round passed, else the exit code of the first that did not."""
    deadline = time.monotonic() + minutes * 60
    rounds = 0
    while rounds == 0 or time.monotonic() < deadline:
        rounds += 1
        print(f"Round {rounds}, {max(0.0, deadline - time.monotonic()) / 60:.1f} minutes left", flush=True)
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-m", "crash"], check=False).returncode
        if code:
            print(f"Round {rounds} failed.", file=sys.stderr)
            return code
    print(f"{rounds} rounds passed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
