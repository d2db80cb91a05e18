"""What open chats and idle agents cost while nothing happens.

``python -m tests.benchmarks.idle [--tabs 100] [--pages 4] [--agents 1000] [--seconds 25]`` prints one line of JSON: the
share of one core and the memory (PSS) of the product with nobody there, which is the floor, with that many agents, with
that many open chats besides, and with as many open event streams on top. Some of the chats are pages of a real
Chromium, the others sockets of it that said what those pages said (`tests.benchmarks.tabs`); the browser's own use is
not counted. A page opens an event stream only while an answer comes, so the streams are further connections of a
program to ``/v1/runs/{run}/events`` of a run whose model is silent. The agents are of another tenant than the chats:
a chat's page lists those of its own. Sockets are pinged every 25 s, so that is how long a rest with sockets is looked
at; without any, 15 s do.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import async_playwright

from backend.app import Backend
from backend.bootstrap.settings import load
from backend.bootstrap.wiring import open_backend
from backend.domain.agents import repository
from backend.domain.agents.rules import CONCIERGE, starter_graph
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.ids import AgentId, TenantId, ThreadId, new_id
from backend.foundation.telemetry.logs import configure_logs
from tests.benchmarks.stand import BROWSER_ARGUMENTS, Stand, chromium, model_at, percent, standing, tell
from tests.benchmarks.tabs import open_tabs
from tests.fixtures.model_stub import run_stub
from tests.fixtures.waiting import until

_SETTLE_S = 2.0
_WITHOUT_SOCKETS_S = 15.0
_PATIENCE_S = 60.0
_PASSWORD = "a long enough password"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what idle chats and agents cost.")
    parser.add_argument("--tabs", type=int, default=100)
    parser.add_argument("--pages", type=int, default=4, help="how many of the tabs are pages of a real browser")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=25.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        run_stub() as stub,
        standing(Path(folder), model_at(stub.url)) as stand,
    ):
        figures = asyncio.run(_measure(stand, given.tabs, min(given.pages, given.tabs), given.agents, given.seconds))
    asked = {"tabs": given.tabs, "agents": given.agents, "seconds": given.seconds}
    tell("idle", asked | figures)


async def _measure(stand: Stand, tabs: int, pages: int, agents: int, seconds: float) -> dict[str, Any]:
    configure_logs(format="json", service="bench", level="error")
    async with open_backend(load({"data": str(stand.app.data)}), roles=()) as backend:
        chats = await _chats(backend, stand, tabs)
    figures: dict[str, Any] = {"nobody": await _rest(stand, min(seconds, _WITHOUT_SOCKETS_S))}
    async with open_backend(load({"data": str(stand.app.data)}), roles=()) as backend:
        tenant = await backend.identity.create_tenant("Idle", "idle@example.org", _PASSWORD)
        await add_agents(backend, tenant, agents)
    figures["agents_idle"] = await _rest(stand, min(seconds, _WITHOUT_SOCKETS_S))
    async with async_playwright() as playwright, AsyncExitStack() as streams:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(BROWSER_ARGUMENTS))
        opened = await open_tabs(browser, stand, chats, pages)
        said, asked = opened.said(), len(opened.requests)
        figures["tabs_open"] = await _rest(stand, seconds) | {
            "sockets": await opened.still_open(),
            "pages": pages,
            "pages_said": opened.said() - said,
            "pages_asked": len(opened.requests) - asked,
        }
        client = await streams.enter_async_context(stand.client(timeout=httpx.Timeout(30, read=None)))
        await _open_streams(streams, client, tabs)
        figures["tabs_and_streams_open"] = await _rest(stand, seconds)
        await browser.close()
    return figures | _compared(figures, tabs, agents)


def _compared(figures: dict[str, Any], tabs: int, agents: int) -> dict[str, float]:
    """Return what one tab and one agent add, and the processor time beside the floor's."""
    weight = {name: each["pss_mib"]["all"] for name, each in figures.items()}
    pace = {name: each["cpu_percent"]["all"] for name, each in figures.items()}
    floor = max(0.01, pace["nobody"])
    return {
        "mib_a_tab": round((weight["tabs_open"] - weight["agents_idle"]) / tabs, 2),
        "kib_an_agent": round((weight["agents_idle"] - weight["nobody"]) * 1024 / agents, 1),
        "tabs_cpu_ratio_to_floor": round(pace["tabs_open"] / floor, 2),
        "agents_cpu_ratio_to_floor": round(pace["agents_idle"] / floor, 2),
    }


async def _rest(stand: Stand, seconds: float) -> dict[str, Any]:
    """Let what has just happened end, then look on for so many seconds."""
    await asyncio.sleep(_SETTLE_S)
    before, started = stand.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    spent = percent(before, stand.cpu(), time.perf_counter() - started)
    return {"cpu_percent": spent, "pss_mib": stand.memory()}


async def _chats(backend: Backend, stand: Stand, count: int) -> list[ThreadId]:
    """Begin that many chats of the administrator's, and return them when each has its answer."""
    cookies = "; ".join(f"{name}={value}" for name, value in stand.cookies.items())
    caller = await backend.identity.caller_of_cookies(cookies)
    chats: list[ThreadId] = []
    for _ in range(count):
        sent = await backend.chat.send(caller, thread=None, agent=CONCIERGE.slug, text="Good morning")
        chats.append(ThreadId(sent.thread))
    for chat in chats:
        await until(lambda chat=chat: _answered(backend, caller, chat), _PATIENCE_S)
    return chats


async def _answered(backend: Backend, caller: Caller, chat: ThreadId) -> bool:
    view = await backend.conversations.conversation(caller, chat)
    return len(view.turns) > 1 and not view.active_status


async def add_agents(backend: Backend, tenant: TenantId, agents: int) -> None:
    """Give a tenant that many agents like the starter's, which is one."""
    async with backend.database.write(tenant) as session:
        for number in range(1, agents):
            agent = AgentId(new_id("agt"))
            snapshot = await backend.flows.publish_snapshot(session, tenant, agent, starter_graph(CONCIERGE))
            await repository.insert_agent(session, _row(tenant, agent, snapshot, number))


def _row(tenant: TenantId, agent: AgentId, snapshot: str, number: int) -> dict[str, Any]:
    return {
        "id": agent, "tenant": tenant, "slug": f"{CONCIERGE.slug}-{number}", "name": f"{CONCIERGE.name} {number}",
        "description": CONCIERGE.description, "status": "RUNNING", "reason": "", "model": "",
        "tools": list(CONCIERGE.tools), "prompts": list(CONCIERGE.prompts), "limits": {}, "snapshot": snapshot,
    }  # fmt: skip


async def _open_streams(stack: AsyncExitStack, client: httpx.AsyncClient, streams: int) -> None:
    started = await client.post("/v1/agents/concierge/runs", json={"input": "#stall-first", "wait": False})
    path = f"/v1/runs/{started.raise_for_status().json()['id']}/events"
    for _ in range(streams):
        answer = await stack.enter_async_context(client.stream("GET", path))
        answer.raise_for_status()


if __name__ == "__main__":
    main()
