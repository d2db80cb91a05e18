"""Fixtures of the crash suite: an installation on SQLite and the embedded bus, or on real servers.

``make crash`` runs each fault on both databases and both buses (``AUTOWEAVE_TESTS_MATRIX=1``); otherwise each runs
once, on the embedded defaults, and a few marked ones on PostgreSQL and Kafka too.
"""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

import pytest

from tests.crash.stand import Stand
from tests.fixtures.model_stub import ModelStub
from tests.fixtures.read_only import can_bind
from tests.fixtures.small_disk import can_mount
from tests.fixtures.valkey import PrivateValkey

EMBEDDED = "sqlite-valkey"
SERVERS = "postgresql-kafka"
MATRIX = (EMBEDDED, "sqlite-kafka", "postgresql-valkey", SERVERS)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks of this folder."""
    config.addinivalue_line("markers", "only_on(part): runs only on stands with this database or bus")
    config.addinivalue_line("markers", "whole: takes long, and is run by `make crash` alone")
    config.addinivalue_line("markers", "mounts: makes a folder read-only; left out where that is not allowed")
    config.addinivalue_line("markers", "on_small_disk: mounts a disk of its own; left out where that is not allowed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that takes a stand the kinds that it runs on."""
    if "stand" not in metafunc.fixturenames:
        return
    kinds = MATRIX if os.environ.get("AUTOWEAVE_TESTS_MATRIX") else (EMBEDDED,)
    if metafunc.definition.get_closest_marker("on_servers"):
        kinds = tuple(dict.fromkeys((*kinds, SERVERS)))
    for mark in metafunc.definition.iter_markers("only_on"):
        kinds = tuple(kind for kind in kinds if mark.args[0] in kind)
    metafunc.parametrize("stand", kinds, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless all is asked for, and what needs a disk of its own where none is given."""
    if not os.environ.get("AUTOWEAVE_TESTS_MATRIX"):
        long = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    mounting = [item for item in items if item.get_closest_marker("mounts")]
    if mounting and not can_bind():
        config.hook.pytest_deselected(items=mounting)
        items[:] = [item for item in items if item not in mounting]
    on_disk = [item for item in items if item.get_closest_marker("on_small_disk")]
    if on_disk and not can_mount():
        config.hook.pytest_deselected(items=on_disk)
        items[:] = [item for item in items if item not in on_disk]


@pytest.fixture
def stand(
    request: pytest.FixtureRequest, tmp_path: Path, private_valkey: PrivateValkey, model_stub: ModelStub
) -> Generator[Stand]:
    """An installation of its own, migrated and empty."""
    database, _, bus = str(request.param).partition("-")
    made = Stand(
        folder=tmp_path,
        database_url=str(request.getfixturevalue(f"{database}_url")),
        redis_url=private_valkey.url,
        model_url=model_stub.url,
        bus_url=request.getfixturevalue("kafka_broker").url if bus == "kafka" else "",
    )
    yield made
    made.close()


class Broker(Protocol):
    """A broker that can be stopped where it is."""

    def freeze(self) -> None: ...
    def proceed(self) -> None: ...


@pytest.fixture
def broker(request: pytest.FixtureRequest, stand: Stand, private_valkey: PrivateValkey) -> Broker:
    """The broker of the stand; it is well again after the test."""
    return request.getfixturevalue("hurt_broker") if stand.bus_url else private_valkey
