"""OPS-1, FLW-3: an update of the product finds work that waits."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.fixtures.processes import ROOT

pytestmark = pytest.mark.integration


def test_a_timer_that_waits_is_there_after_the_migration_and_is_due_when_it_was(tmp_path: Path) -> None:
    config = Config(attributes={"url": f"sqlite:///{tmp_path}/autoweave.db"})
    config.set_main_option("script_location", str(ROOT / "alembic"))
    command.upgrade(config, "0003")
    with closing(sqlite3.connect(tmp_path / "autoweave.db")) as file, file:
        file.execute("INSERT INTO flows_timer VALUES ('ten_a', 'tmr_1', 'run_1', '', 'retry', 123)")
    command.upgrade(config, "head")
    with closing(sqlite3.connect(tmp_path / "autoweave.db")) as file:
        # So long a wait is never taken for one that was set before the clock was put back.
        assert file.execute("SELECT id, due_ms, wait_ms > 1e15 FROM flows_timer").fetchall() == [("tmr_1", 123, 1)]
