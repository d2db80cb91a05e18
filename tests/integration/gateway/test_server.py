"""API-2: the door on a real port, by the server that serves it in earnest."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from backend.gateway.http import stream
from backend.gateway.http.endpoints import endpoint, probe
from backend.gateway.http.probes import Probes
from backend.gateway.http.runs import Runs
from tests.fixtures.door import Installation
from tests.fixtures.port import on_a_port
from tests.fixtures.waiting import until

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def address(sqlite_installation: Installation) -> AsyncGenerator[str]:
    async with on_a_port(sqlite_installation.app) as url:
        yield url


async def test_tokens_come_one_by_one_over_a_real_connection(sqlite_installation: Installation, address: str) -> None:
    run = (await sqlite_installation.backend.agents.run(sqlite_installation.ada, "concierge", input="Hello")).id
    writer = sqlite_installation.backend.live.writer(run, 1)
    headers = {"authorization": f"Bearer {sqlite_installation.ada_key}"}
    seen: list[str] = []
    async with (
        httpx.AsyncClient(base_url=address, headers=headers) as client,
        client.stream("GET", f"/v1/runs/{run}/events") as answer,
    ):
        lines = answer.aiter_lines()
        for text in ("one", "two", "three"):
            writer.token("p", text)
            await writer.flush()
            async for line in lines:
                if line.startswith("data: ") and "text" in line:
                    seen.append(json.loads(line.removeprefix("data: "))["text"])
                    break
    assert seen == ["one", "two", "three"]


async def test_a_connection_that_breaks_leaves_nothing_at_work(sqlite_installation: Installation, address: str) -> None:
    run = (await sqlite_installation.backend.agents.run(sqlite_installation.ada, "concierge", input="Hello")).id
    headers = {"authorization": f"Bearer {sqlite_installation.ada_key}"}
    before = len(asyncio.all_tasks())
    for _ in range(3):
        async with (
            httpx.AsyncClient(base_url=address, headers=headers) as client,
            client.stream("GET", f"/v1/runs/{run}/events") as answer,
        ):
            await anext(answer.aiter_lines())
    await until(lambda: len(asyncio.all_tasks()) <= before, 10)


async def test_who_stops_reading_loses_the_place_to_others(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them would otherwise keep everybody else away for ever."""
    monkeypatch.setattr(stream, "_PATIENCE_S", 0.2)
    house = sqlite_installation
    run = (await house.backend.agents.run(house.ada, "concierge", input="Hello")).id
    writer = house.backend.live.writer(run, 1)
    runs = Runs(stream.Seats(most=1))
    app = Starlette(
        routes=[endpoint("GET", "/v1/runs/{run}/events", runs.events), probe("/health", Probes().health)],
    )
    headers = {"authorization": f"Bearer {house.ada_key}"}
    async with on_a_port(app) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as frozen:
            asked = f"GET /v1/runs/{run}/events HTTP/1.1\r\nhost: localhost\r\n"
            frozen.sendall(f"{asked}authorization: Bearer {house.ada_key}\r\n\r\n".encode())

            async def status() -> int:
                async with client.stream("GET", f"/v1/runs/{run}/events") as answer:
                    return answer.status_code

            await until(lambda: _is(status, 503))

            async def free() -> bool:
                for _ in range(50):
                    writer.token("p", "x" * 10_000)
                await writer.flush()
                return await _is(status, 200)

            await until(free)


async def _is(status: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await status() == wanted
