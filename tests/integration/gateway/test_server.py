"""API-2: the door on a real port, by the server that serves it in earnest."""

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

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
