"""Run the benchmarks and print a line of JSON for each: ``python -m tests.benchmarks [NAME …]``."""

import os
import subprocess
import sys

SCRIPTS = (
    "runs", "dbos", "agents", "first_token", "start", "idle", "lighthouse", "bus_embedded", "bus_kafka", "mesh", "hop",
    "relay", "sandbox", "telemetry",
)  # fmt: skip


def main() -> int:
    """Run the named benchmarks, or all; return how many failed."""
    failed = 0
    for name in sys.argv[1:] or SCRIPTS:
        load = os.getloadavg()[0]
        sys.stdout.write(f"# {name} (load before: {load:.1f})\n")
        sys.stdout.flush()
        failed += subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
