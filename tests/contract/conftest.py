"""The two buses of the contract suite, by one name."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from backend.adapters.kafka.bus import KafkaBus
from backend.adapters.valkey.bus import ValkeyBus
from backend.foundation.bus.ports import Bus
from tests.contract.members import FAULTS, PARTITIONS, HurtMesh, Mesh
from tests.fixtures.kafka import SHORT, restarted

_LEASE_MS = 1500


def bus_of(mesh: Mesh) -> Bus:
    if mesh.kind == "kafka":
        return KafkaBus(mesh.url, namespace=mesh.namespace, options=SHORT)
    return ValkeyBus(mesh.url, namespace=mesh.namespace, lease_ms=_LEASE_MS)


def _open(stack: AsyncExitStack, mesh: Mesh) -> None:
    async def make(*, started: bool = True) -> Bus:
        bus = bus_of(mesh)
        stack.push_async_callback(bus.close)
        if started:
            await bus.start()
        return bus

    mesh.make = make


async def _never(*, started: bool = True) -> Bus:
    raise AssertionError


def _place(request: pytest.FixtureRequest, url: str) -> tuple[str, str, str, float]:
    kind = str(request.param)
    namespace = str(request.getfixturevalue(f"{kind}_namespace"))
    return kind, url, namespace, SHORT.session_s if kind == "kafka" else _LEASE_MS / 1000


@pytest.fixture(params=["kafka", "valkey"])
def place(request: pytest.FixtureRequest) -> Mesh:
    url = request.getfixturevalue("kafka_broker").url if request.param == "kafka" else None
    kind, url, namespace, session_s = _place(request, url or str(request.getfixturevalue("valkey_url")))
    return Mesh(kind, url, namespace, _never, session_s)


@pytest_asyncio.fixture
async def mesh(place: Mesh) -> AsyncGenerator[Mesh]:
    """A fresh namespace on the session's Kafka, and on its Valkey."""
    async with AsyncExitStack() as stack:
        _open(stack, place)
        FAULTS.clear()
        yield place
    assert FAULTS == []


@pytest_asyncio.fixture
async def bus(mesh: Mesh) -> Bus:
    """A started bus with the topic ``orders``."""
    bus = await mesh.make()
    await bus.create_topic("orders", partitions=PARTITIONS)
    return bus


@pytest.fixture(params=["kafka", "valkey"])
def hurt_place(request: pytest.FixtureRequest) -> HurtMesh:
    server = request.getfixturevalue("hurt_broker" if request.param == "kafka" else "private_valkey")
    kind, url, namespace, session_s = _place(request, server.url)

    async def restart() -> None:
        if kind == "kafka":
            await restarted(server)
        else:
            await asyncio.to_thread(server.start)

    return HurtMesh(kind, url, namespace, _never, session_s, kill=server.kill, restart=restart)


@pytest_asyncio.fixture
async def hurt(hurt_place: HurtMesh) -> AsyncGenerator[HurtMesh]:
    """A fresh namespace on a server that the test may kill and restart."""
    async with AsyncExitStack() as stack:
        _open(stack, hurt_place)
        FAULTS.clear()
        yield hurt_place
    assert FAULTS == []
