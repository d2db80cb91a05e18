"""OBS-1: with a setting, traces show what the database and Valkey are asked, and never with what values."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fixtures.engine import Engine, opened
from tests.fixtures.model_stub import ModelStub

pytestmark = pytest.mark.integration
CANARY = "cockatiel-4711"


@pytest_asyncio.fixture
async def traced(
    database_url: str, valkey_url: str, valkey_namespace: str, model_stub: ModelStub, tmp_path: Path
) -> AsyncGenerator[Engine]:
    more = {"AUTOWEAVE_TRACE_STATEMENTS": "on"}
    async with opened(database_url, valkey_url, valkey_namespace, model_stub, tmp_path, **more) as engine:
        yield engine


async def _spans(engine: Engine) -> list[dict[str, object]]:
    """Return the attributes of all spans of a run, those of statements and commands among them."""
    run = await engine.run(f"say {CANARY}")
    telemetry = engine.backend.telemetry
    await telemetry.flush()
    return [{"name": each.name, **each.attributes} for each in await telemetry.spans_of(engine.ada, run.trace)]


async def test_a_trace_shows_statements_and_commands_without_their_values(traced: Engine) -> None:
    """OBS-1."""
    spans = await _spans(traced)
    systems = {span.get("db.system.name") for span in spans}
    assert systems >= {traced.backend.database.dialect, "redis"}
    statements = [span for span in spans if span.get("db.system.name") == traced.backend.database.dialect]
    assert {"db.operation.name", "db.query.text", "db.collection.name"} <= set.union(*map(set, statements))
    assert "INSERT flows_run" in {span["name"] for span in statements}
    said = [span for span in spans if "db.system.name" in span and CANARY in str(span)]
    assert said == []


async def test_a_trace_is_silent_about_them_without_the_setting(sqlite_engine: Engine) -> None:
    """OBS-1: they would cost more than all other spans of a run."""
    assert [span for span in await _spans(sqlite_engine) if "db.system.name" in span] == []
