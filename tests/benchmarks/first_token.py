"""From the model's first token to the words on the page, in a real Chromium.

``python -m tests.benchmarks.first_token [--messages N]`` prints one line of JSON. The stub stamps its clock when the
first token has been handed to the socket; the page stamps its own when the token stands in the document, by a
MutationObserver. Both clocks are this machine's, and their difference is told. The floor is the same token read by a
script in the same browser from the stub itself. The stub thinks for 800 ms, as hosted models do, which leaves the page
the time to open its stream; an answer that was never shown in flight is counted. Target: p50 below 30 ms.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.benchmarks.stand import BROWSER_ARGUMENTS, Stand, chromium, model_at, per_run, spread, standing, tell
from tests.fixtures.model_stub import ModelStub, run_stub

_TARGET_MS = 30
_WARM_UP = 3
_TOKENS = "#tokens 12"
# The page's clock is the wall's at its load and runs on by itself; a later step of the wall's would be a lie here.
_WATCH = """() => {
  window.firstShown = 0;
  new MutationObserver(() => {
    if (window.firstShown) return;
    const answer = document.querySelector('article[aria-label="Answer in progress"]');
    if (answer?.textContent.includes("token0")) window.firstShown = performance.timeOrigin + performance.now();
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
_SKEW = "() => Date.now() - (performance.timeOrigin + performance.now())"
_BARE = """async (url) => {
  const body = {model: "stub", stream: true, messages: [{role: "user", content: "#tokens 12"}]};
  const answer = await fetch(url, {method: "POST", body: JSON.stringify(body)});
  const reader = answer.body.getReader(), text = new TextDecoder();
  for (let seen = ""; !seen.includes("token0");) seen += text.decode((await reader.read()).value, {stream: true});
  return performance.timeOrigin + performance.now();
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the first token's way to the page.")
    parser.add_argument("--messages", type=int, default=40)
    messages: int = parser.parse_args().messages
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        run_stub("--delay-ms", "800", "--token-delay-ms", "20") as stub,
        standing(Path(folder), model_at(stub.url)) as stand,
    ):
        figures = asyncio.run(_measure(stand, stub, messages))
    tell("first_token", figures | {"target_p50_ms": _TARGET_MS})


async def _measure(stand: Stand, stub: ModelStub, messages: int) -> dict[str, object]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(BROWSER_ARGUMENTS))
        try:
            page = await _page(browser, stand)
            await _ask(page, stub, _WARM_UP)
            before = stand.cpu()
            seconds = await _ask(page, stub, messages)
            spent = per_run(before, stand.cpu(), messages)
            skew = await page.evaluate(_SKEW)
            floor = spread([await _bare(browser, stub) for _ in range(messages)])
        finally:
            await browser.close()
    own = spread(seconds) | {"not_in_flight": messages - len(seconds)}
    ratio = round(own["p50_ms"] / floor["p50_ms"], 1)
    figures: dict[str, object] = {"messages": messages, **own, "floor_bare_fetch": floor, "ratio_to_floor": ratio}
    return figures | {"clock_skew_ms": round(skew, 2), "cpu_ms_a_message": spent}


async def _page(browser: Browser, stand: Stand) -> Page:
    context = await browser.new_context(base_url=stand.url, viewport={"width": 1280, "height": 800})
    await context.add_cookies(stand.browser_cookies())  # pyright: ignore[reportArgumentType]
    page = await context.new_page()
    await page.goto("/chat")
    await expect(page.get_by_role("heading", name="Concierge")).to_be_visible()
    return page


async def _ask(page: Page, stub: ModelStub, messages: int) -> list[float]:
    """Return the seconds from the model to the page, for each of so many messages that was seen in flight."""
    found = [await _one(page, stub) for _ in range(messages)]
    return [seconds for seconds in found if seconds is not None]


async def _one(page: Page, stub: ModelStub) -> float | None:
    answers = page.get_by_role("article", name="Answer", exact=True)
    before = await answers.count()
    await asyncio.to_thread(stub.reset)
    await page.evaluate(_WATCH)
    box = page.get_by_role("textbox", name="Message")
    await box.fill(_TOKENS)
    await box.press("Enter")
    await expect(answers).to_have_count(before + 1, timeout=20_000)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await expect(page.get_by_role("article", name="Answer in progress")).to_have_count(0)
    shown_ms: float = await page.evaluate("window.firstShown")
    return shown_ms / 1e3 - (await _sent(stub))["first_ns"] / 1e9 if shown_ms else None


async def _bare(browser: Browser, stub: ModelStub) -> float:
    await asyncio.to_thread(stub.reset)
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{stub.url}/v1/models")
    shown_ms: float = await page.evaluate(_BARE, f"{stub.url}/v1/chat/completions")
    sent = await _sent(stub)
    await page.close()
    return shown_ms / 1e3 - sent["first_ns"] / 1e9


async def _sent(stub: ModelStub) -> dict[str, Any]:
    return next(asked for asked in await asyncio.to_thread(stub.requests) if "first_ns" in asked)


if __name__ == "__main__":
    main()
