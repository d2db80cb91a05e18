#!/usr/bin/env python3
"""Write the next migration from what the tables say: ``migration.py "add a column to runs"``. Read it before use."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parents[1]


def main(message: str) -> int:
    """Bring an empty database to the newest version, compare it with the tables and write the difference."""
    if not message.strip():
        print('Say what it does: make migration MESSAGE="add a column to runs"', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        config = Config(attributes={"url": f"sqlite:///{folder}/empty.db"})
        config.set_main_option("script_location", str(ROOT / "alembic"))
        command.upgrade(config, "head")
        number = sum(1 for _ in ScriptDirectory.from_config(config).walk_revisions()) + 1
        command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
