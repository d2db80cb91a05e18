#!/usr/bin/env python3
"""Mixed load on the whole product while its processes are killed: ``soak.py [MINUTES]``, 30 by default.

Starts AutoWeave in a private folder with two webs, two workers and a model of its own; people and programs ask all the
time. Every half minute until the last third, which is calm, one is killed: a web, a worker, Valkey, or the supervisor
itself, which is started again as a service manager would. In the end everything that was asked for must be there once,
and memory, descriptors, what waits and what Valkey holds must not have grown. Exits with 1 where that is not so.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(minutes: float) -> int:
    """Run it; print the figures, and what was wrong."""
    # As a script this file lies outside the package that it belongs to.
    sys.path.insert(0, str(ROOT))
    from tests.crash.soak.run import soak

    with tempfile.TemporaryDirectory(prefix="autoweave-soak-") as folder:
        found = soak(Path(folder), minutes)
    for words in found:
        print(f"WRONG: {words}", file=sys.stderr)
    print(f"{minutes:g} minutes: {'failed' if found else 'everything was done once, and nothing grew'}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))
