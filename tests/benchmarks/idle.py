"""What open chats and idle agents cost while nothing happens.

``python -m tests.benchmarks.idle [--tabs 100] [--agents 1000] [--seconds 30]`` prints one line of JSON: the share of
one core and the memory (PSS) of the product alone, with that many open chats, with as many open event streams besides,
and with that many agents. The chats are pages of a real Chromium (its own use is not counted), each with its websocket;
a page opens an event stream only while an answer comes, so the streams are further connections of a program to
``/v1/runs/{run}/events`` of a run whose model is silent. The floor is the product with nobody there.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from backend.adapters.database.database import SqlDatabase
from backend.domain.agents.models import AgentRow
from backend.foundation.kernel.ids import new_id
from tests.benchmarks.stand import BROWSER_ARGUMENTS, Stand, chromium, memory, model_at, percent, standing, tell
from tests.fixtures.model_stub import run_stub

_MIB_A_TAB = 60
_REST_S = 3.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what idle chats and agents cost.")
    parser.add_argument("--tabs", type=int, default=100)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    _require_memory(arguments.tabs)
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        run_stub() as stub,
        standing(Path(folder), model_at(stub.url)) as stand,
    ):
        figures = asyncio.run(_measure(stand, arguments.tabs, arguments.agents, arguments.seconds))
    tell("idle", {"tabs": arguments.tabs, "agents": arguments.agents, "seconds": arguments.seconds, **figures})


def _require_memory(tabs: int) -> None:
    free = psutil.virtual_memory().available >> 20
    if free < tabs * _MIB_A_TAB:
        raise SystemExit(f"{tabs} tabs need {tabs * _MIB_A_TAB} MiB, {free} are free: use fewer by --tabs.")


async def _measure(stand: Stand, tabs: int, agents: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"nobody": await _rest(stand, seconds)}
    async with async_playwright() as playwright, AsyncExitStack() as streams:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(BROWSER_ARGUMENTS))
        context = await browser.new_context(base_url=stand.url, viewport={"width": 1280, "height": 800})
        await context.add_cookies(stand.browser_cookies())  # pyright: ignore[reportArgumentType]
        sockets = await _open_tabs(context, tabs)
        figures["tabs_open"] = await _rest(stand, seconds) | {"websockets": len(sockets)}
        client = await streams.enter_async_context(stand.client(timeout=httpx.Timeout(30, read=None)))
        await _open_streams(streams, client, tabs)
        figures["tabs_and_streams_open"] = await _rest(stand, seconds)
        figures["browser_pss_mib"] = _browser_memory(stand)
        await browser.close()
    await _add_agents(stand, agents)
    figures["agents_idle"] = await _rest(stand, seconds)
    floor, own = figures["nobody"], figures["tabs_open"]
    figures["mib_a_tab"] = round((own["pss_mib"]["all"] - floor["pss_mib"]["all"]) / tabs, 2)
    figures["cpu_ratio_to_floor"] = round(own["cpu_percent"]["all"] / max(0.01, floor["cpu_percent"]["all"]), 1)
    return figures


async def _rest(stand: Stand, seconds: float) -> dict[str, Any]:
    """Let what has just happened end, then look on for so many seconds."""
    await asyncio.sleep(_REST_S)
    before, started = stand.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    spent = percent(before, stand.cpu(), time.perf_counter() - started)
    return {"cpu_percent": spent, "pss_mib": stand.memory()}


async def _open_tabs(context: BrowserContext, tabs: int) -> set[int]:
    """Open chats, each with one answer in it; return the pages that have a websocket open."""
    sockets: set[int] = set()
    # One after the other: two new chats of one browser share what was typed and not sent yet.
    for number in range(tabs):
        page = await context.new_page()
        page.on("websocket", lambda _, number=number: sockets.add(number))
        await _chat(page)
    return sockets


async def _chat(page: Page) -> None:
    await page.goto("/chat", timeout=60_000)
    await expect(page.get_by_role("heading", name="Concierge")).to_be_visible(timeout=60_000)
    box = page.get_by_role("textbox", name="Message")
    await box.fill("Good morning")
    await box.press("Enter")
    await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible(timeout=60_000)


async def _open_streams(stack: AsyncExitStack, client: httpx.AsyncClient, streams: int) -> None:
    started = await client.post("/v1/agents/concierge/runs", json={"input": "#stall-first", "wait": False})
    path = f"/v1/runs/{started.raise_for_status().json()['id']}/events"
    for _ in range(streams):
        answer = await stack.enter_async_context(client.stream("GET", path))
        answer.raise_for_status()


async def _add_agents(stand: Stand, agents: int) -> None:
    """Copy the starter agent: nothing asks them anything."""
    database = SqlDatabase(f"sqlite:///{stand.app.data}/autoweave.db")
    async with database.engine.begin() as connection:
        [row] = (await connection.execute(AgentRow.__table__.select().limit(1))).mappings().all()
        copies = [{**row, "id": new_id("agt"), "slug": f"copy-{number}"} for number in range(agents)]
        await connection.execute(AgentRow.__table__.insert(), copies)
    await database.close()


def _browser_memory(stand: Stand) -> float:
    own = {stand.app.process.pid}
    children = [each for each in psutil.Process().children() if each.pid not in own]
    return round(sum(memory(each.pid)["all"] for each in children), 1)


if __name__ == "__main__":
    main()
