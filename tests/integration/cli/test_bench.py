"""BUS-10: the load driver on a real bus: what it counts, what it says, and that it leaves nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text

from backend.adapters.database.database import SqlDatabase
from backend.adapters.valkey.server import Server
from tests.fixtures.kafka import Broker
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.processes import ROOT, Running, free_port

pytestmark = pytest.mark.integration

Bench = Callable[..., tuple[int, dict[str, Any], str]]
_BRIEF = ("--rate", "200", "--duration", "1", "--warm-up", "0.5")
_SHORT = ("--rate", "200", "--duration", "2", "--warm-up", "1", "--keys", "20")


@pytest.fixture
def surroundings(tmp_path: Path) -> Generator[dict[str, str]]:
    """An environment without settings, whose temporary folder is the test's own."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("AUTOWEAVE_")}
    # Not below pytest's: the path of a socket may have 107 characters.
    with TemporaryDirectory(prefix="aw-") as place:
        yield given | {"TMPDIR": place, "AUTOWEAVE_DATA": str(tmp_path / "data")}


@pytest.fixture
def bench(surroundings: dict[str, str]) -> Bench:
    """Run `bench mesh`; return its exit code, its figures and what it said meanwhile."""

    def run(*words: str, **more: str) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [*_command(*words), "--json"],
            env=surroundings | more,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=120,
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    return run


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "backend", "bench", "mesh", *words]


def _is_whole(found: dict[str, Any], events: int) -> bool:
    hops = [found["ask"], *([found["reply"]] if found["reply"] else [])]
    faults = [hop[fault] for hop in hops for fault in ("lost", "duplicates", "disordered")]
    counts = {found["sent"], *(hop["handled"] for hop in hops), *found["rows"]["inbox"].values()}
    return found["ok"] and counts == {events} and found["success"] == 100 and not any(faults)


def test_a_load_on_the_embedded_bus_is_counted_whole_and_leaves_nothing(
    bench: Bench, surroundings: dict[str, str], tmp_path: Path
) -> None:
    code, found, said = bench(*_SHORT, "--mode", "reply")
    assert code == 0, said
    assert _is_whole(found, 600), found
    assert found["rows"] | {"inbox": {}} == {"inbox": {}, "outbox_waiting": 0, "dead_letters": 0, "lag": 0}
    assert set(found["cpu_us"]) == {"driver", "worker", "broker"}
    assert min(found["cpu_us"].values()) > 0
    for hop in (found["ask"], found["reply"]):
        times = hop["latency_ms"]
        assert 0 < hop["to_handler_ms"]["p50"] <= times["p50"] <= times["p95"] <= times["p99"] <= times["max"]
    assert "handled" in said
    assert list(Path(surroundings["TMPDIR"]).iterdir()) == []
    assert not (tmp_path / "data").exists()


def test_on_a_shared_server_no_key_is_left_that_does_not_end_by_itself(bench: Bench, valkey_url: str) -> None:
    code, found, said = bench(*_BRIEF, AUTOWEAVE_REDIS_URL=valkey_url)
    assert code == 0, said
    assert _is_whole(found, 300), found

    async def staying() -> list[Any]:
        server = Server(valkey_url, namespace="")
        try:
            left = cast("list[bytes]", await server.call("KEYS", "bench*"))
            return [key for key in left if cast("int", await server.call("TTL", key)) < 0]
        finally:
            await server.close()

    assert asyncio.run(staying()) == []


def test_on_kafka_no_topic_and_no_group_is_left(bench: Bench, kafka_broker: Broker) -> None:
    code, found, said = bench(*_BRIEF, "--broker-pid", str(kafka_broker.pid), AUTOWEAVE_BUS_URL=kafka_broker.url)
    assert code == 0, said
    assert _is_whole(found, 300), found
    assert found["cpu_us"]["broker"] > 0

    async def left() -> list[str]:
        admin = cast(Any, AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap))
        await admin.start()
        try:
            groups = [group for group, _ in await admin.list_consumer_groups()]
            return [name for name in (*await admin.list_topics(), *groups) if name.startswith("bench")]
        finally:
            await admin.close()

    assert asyncio.run(left()) == []


def test_on_postgresql_it_works_in_a_database_of_its_own(
    bench: Bench, postgres_server: PostgresServer, postgres_database: str
) -> None:
    code, found, said = bench(*_BRIEF, AUTOWEAVE_DATABASE_URL=postgres_database)
    assert (code, found) == (1, {})
    assert "CREATEDB" in said

    postgres_server.run("psql", "-d", "postgres", "-c", "ALTER ROLE autoweave CREATEDB")
    try:
        code, found, said = bench(*_BRIEF, "--mode", "reply", AUTOWEAVE_DATABASE_URL=postgres_database)
    finally:
        postgres_server.run("psql", "-d", "postgres", "-c", "ALTER ROLE autoweave NOCREATEDB")
    assert code == 0, said
    assert _is_whole(found, 300), found

    async def names() -> list[str]:
        database = SqlDatabase(postgres_database)
        try:
            async with database.system_read() as session:
                return list((await session.scalars(text("SELECT datname FROM pg_database"))).all())
        finally:
            await database.close()

    assert [name for name in asyncio.run(names()) if name.startswith("bench")] == []


def test_a_broker_that_is_not_there_is_named(bench: Bench, surroundings: dict[str, str]) -> None:
    code, found, said = bench(*_BRIEF, AUTOWEAVE_BUS_URL=f"kafka://127.0.0.1:{free_port()}")
    assert (code, found) == (1, {})
    assert "Kafka cannot be reached" in said
    assert list(Path(surroundings["TMPDIR"]).iterdir()) == []


def test_ctrl_c_ends_it_with_the_figures_so_far(surroundings: dict[str, str], tmp_path: Path) -> None:
    running = Running(_command("--rate", "100", "--duration", "600"), tmp_path, surroundings)
    try:
        running.wait_for(r"handled [1-9]", 60)
        # As a terminal does, which signals every process of the group.
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end(60) == 0, running.printed
    finally:
        running.process.kill()
        running.process.wait()
    assert "interrupted" in running.printed
    assert "all well" in running.printed
    assert list(Path(surroundings["TMPDIR"]).iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"), [(("--rate", "0"), "--rate"), (("--size", "3"), "--size"), (("--mode", "fast"), "--mode")]
)
def test_what_cannot_be_done_is_named_with_the_fix(bench: Bench, words: tuple[str, str], named: str) -> None:
    code, found, said = bench(*words)
    assert (code, found) == (2, {})
    assert named in said
    assert "Fix: " in said
