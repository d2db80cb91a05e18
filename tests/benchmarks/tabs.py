"""Open chats for the benchmarks: a few pages of a real Chromium, and sockets of it that say what such a page said.

A hundred pages want a hundred renderers, which two cores cannot draw in a benchmark's time. What the server has of an
open tab is its socket, its state and its watching tasks: a socket that carries the page's own first message gets all
three. That it got them is checked: each must be told of the same states as the page was, until it is ready.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, WebSocket, expect

from backend.foundation.kernel.ids import ThreadId
from tests.benchmarks.stand import Stand
from tests.fixtures.waiting import until

_TOLD = "42/_event,"
_READY = '"is_hydrated_rx_state_":true'
_PONG = "3"
_AT_ONCE = 8
_PATIENCE_S = 60.0
_OPEN = """([ready, tabs]) => Promise.all(tabs.map(([url, first]) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url);
  let told = [];
  (window.sockets ??= []).push(socket);
  socket.onclose = () => reject(new Error("closed"));
  socket.onmessage = ({data}) => {
    if (data === "2") socket.send("3");
    else if (data.startsWith("0")) socket.send(first);
    else if (told) told.push(data);
    if (told && data.includes(ready)) { resolve(told); told = null; }
  };
})))"""
_STILL_OPEN = "() => window.sockets.filter(each => each.readyState === WebSocket.OPEN).length"


@dataclass
class _Wire:
    """What went over a page's socket."""

    url: str = ""
    sent: list[str] = field(default_factory=list[str])
    received: list[str] = field(default_factory=list[str])

    @property
    def ready(self) -> bool:
        return any(_READY in frame for frame in self.received)

    def hear(self, socket: WebSocket) -> None:
        self.url = socket.url
        socket.on("framesent", lambda frame: self.sent.append(str(frame)))
        socket.on("framereceived", lambda frame: self.received.append(str(frame)))


@dataclass
class Tabs:
    """Open chats.

    Attributes:
        pages: how many of them are pages of a real browser.
        requests: the addresses that those pages have asked for, besides their socket.
    """

    pages: int
    requests: list[str]
    _wires: list[_Wire]
    _sockets: Page

    async def still_open(self) -> int:
        """Return how many sockets, of pages and without one, are open."""
        return self.pages + int(await self._sockets.evaluate(_STILL_OPEN))

    def said(self) -> int:
        """Return how many messages the pages have sent by their sockets so far, without answers to pings."""
        return sum(frame != _PONG for wire in self._wires for frame in wire.sent)


async def open_tabs(browser: Browser, stand: Stand, chats: Sequence[ThreadId], pages: int) -> Tabs:
    """Open each chat in a tab of its own, the first ``pages`` of them as real pages; raise where a tab is not one."""
    context = await browser.new_context(base_url=stand.url, viewport={"width": 1280, "height": 800}, bypass_csp=True)
    await context.add_cookies(stand.browser_cookies())  # pyright: ignore[reportArgumentType]
    requests: list[str] = []
    wires = [await _page(context, chat, requests) for chat in chats[:pages]]
    sockets = await context.new_page()
    # Any address of the product's will do: a socket carries the cookies of the page that opened it.
    await sockets.goto("/openapi.json")
    rest = chats[pages:]
    for start in range(0, len(rest), _AT_ONCE):
        await _replay(sockets, wires[-1], chats[pages - 1], rest[start : start + _AT_ONCE])
    return Tabs(pages, requests, wires, sockets)


async def _page(context: BrowserContext, chat: ThreadId, requests: list[str]) -> _Wire:
    page, wire = await context.new_page(), _Wire()
    page.on("websocket", wire.hear)
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(f"/chat/{chat}", timeout=_PATIENCE_S * 1000)
    await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible(timeout=_PATIENCE_S * 1000)
    await until(lambda: wire.ready, _PATIENCE_S)
    return wire


async def _replay(sockets: Page, wire: _Wire, of: ThreadId, chats: Sequence[ThreadId]) -> None:
    """Open chats by sockets that say what a page said of its own chat."""
    token = wire.url.partition("token=")[2].partition("&")[0]
    tabs = [[wire.url.replace(token, str(uuid.uuid4())), wire.sent[0].replace(of, chat)] for chat in chats]
    async with asyncio.timeout(_PATIENCE_S):
        answers: list[list[str]] = await sockets.evaluate(_OPEN, [_READY, tabs])
    wanted = _states(wire.received)
    for told in answers:
        if _states(told) != wanted:
            raise RuntimeError(f"a tab was told of {_states(told)}, a page of {wanted}")


def _states(frames: Sequence[str]) -> set[str]:
    """Return the states that a tab was told of until it was ready."""
    found: set[str] = set()
    for frame in frames:
        if frame.startswith(_TOLD):
            message: dict[str, Any] = json.loads(frame.removeprefix(_TOLD))[1]
            found |= set(message.get("delta") or {})
        if _READY in frame:
            break
    return found
