"""OBS-1 IDN-6: the keys and passwords of the settings reach no log line, span, event, row, error or finding."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.bootstrap.doctor import examine
from backend.bootstrap.settings import SETTINGS, Settings, load
from backend.foundation.telemetry.logs import configure_logs, get_logger
from backend.foundation.telemetry.rules import masking
from tests.fixtures.engine import Engine, opened
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.processes import free_port

pytestmark = pytest.mark.security

_MARK = "canary"
SECRETS = {setting.variable: f"{_MARK} of {setting.key} @/%, long enough" for setting in SETTINGS if setting.secret}
_IN_A_URL = f"{_MARK}-in-a-url"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, from its libraries' most talkative level on."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logs(format="json", service="test", level="debug", stream=stream)
    yield stream
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Hidden values are the process's: those of this test go with it."""
    known = dict(masking._known)
    yield
    masking._known.clear()
    masking._known.update(known)


async def _everything_stored(engine: Engine) -> str:
    await engine.backend.telemetry.flush()
    async with engine.backend.database.engine.begin() as connection:
        tables = (await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))).scalars()
        return "\n".join([str((await connection.execute(text(f'SELECT * FROM "{name}"'))).all()) for name in tables])


async def test_a_key_that_a_provider_repeats_in_its_refusal_is_seen_by_nobody(
    sqlite_url: str, valkey_url: str, valkey_namespace: str, model_stub: ModelStub, tmp_path: Path, log: io.StringIO
) -> None:
    """AGT-8 OBS-1: runs, steps, spans and events in the database, and the log."""
    keys = {name: value for name, value in SECRETS.items() if not name.startswith("AUTOWEAVE_BUS_")}
    async with opened(sqlite_url, valkey_url, valkey_namespace, model_stub, tmp_path, **keys) as engine:
        for refusal in ("#401", "#400"):
            run = await engine.run(refusal)
            assert run.status == "FAILED"
            assert _MARK not in str(run)
        get_logger("test").info("sent", detail=f"with {keys['OPENAI_API_KEY']}")
        stored = await _everything_stored(engine)
    assert keys["OPENAI_API_KEY"] in {each["key"] for each in model_stub.requests()}
    assert run.id in stored
    assert _MARK not in stored
    assert "with •••" in log.getvalue()
    assert _MARK not in log.getvalue()


def _settings(folder: Path) -> Settings:
    """Every secret set, and every server at an address where nothing listens."""
    environ = {
        **SECRETS,
        "AUTOWEAVE_DATA": str(folder),
        "AUTOWEAVE_DATABASE_URL": f"postgresql://house:{_IN_A_URL}@127.0.0.1:{free_port()}/house",
        "AUTOWEAVE_REDIS_URL": f"redis://:{_IN_A_URL}@127.0.0.1:{free_port()}/0",
        "AUTOWEAVE_BUS_URL": f"kafka://127.0.0.1:{free_port()}",
        "AUTOWEAVE_BUS_USERNAME": "house",
        "AUTOWEAVE_MODEL": "openai:gpt-5-mini",
        "OPENAI_BASE_URL": f"http://user:{_IN_A_URL}@127.0.0.1:{free_port()}/v1",
    }
    return load(environ=environ, file=folder / "none.toml")


async def test_the_doctor_names_what_is_broken_without_the_secrets(tmp_path: Path, log: io.StringIO) -> None:
    """OPS-1 OBS-1: and so does what the settings say of themselves."""
    settings = _settings(tmp_path)
    findings = await examine(settings)
    assert {found.name for found in findings if not found.ok} >= {"database", "valkey", "bus"}
    assert _MARK not in "\n".join([*map(str, findings), repr(settings), str(settings.shown()), log.getvalue()])
