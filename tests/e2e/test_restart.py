"""The web process dies in the middle of a chat."""

import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.conftest import DESK, fill_setup
from tests.fixtures.app import RunningApp, require_pages

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def own_app(tmp_path: Path) -> AsyncGenerator[RunningApp]:
    """An app that the test may break."""
    require_pages()
    running = RunningApp(tmp_path)
    try:
        yield running.ready()
    finally:
        running.stop()


def kill_web(app: RunningApp) -> None:
    """Kill the processes that serve pages, as the kernel does when memory is short."""
    for child in psutil.Process(app.process.pid).children(recursive=True):
        # One that has just ended, whichever it is, has no command line any more.
        with suppress(psutil.NoSuchProcess):
            if re.search(r" run web\b", " ".join(child.cmdline())):
                child.kill()


async def test_nothing_is_lost_when_the_web_process_is_killed(own_app: RunningApp, browser: Browser) -> None:
    """CHT-3."""
    context = await browser.new_context(viewport=DESK, base_url=own_app.url)
    page = await context.new_page()
    await page.goto(own_app.setup_url)
    await fill_setup(page)
    await page.get_by_role("button", name="Create workspace").click()
    box = page.get_by_role("textbox", name="Message")
    answers = page.get_by_role("article", name="Answer", exact=True)
    # Before the page is alive, the key means nothing to it.
    await expect(page.get_by_role("heading", name="Concierge")).to_be_visible()
    await box.fill("Hello")
    await box.press("Enter")
    await expect(answers).to_have_count(1, timeout=60_000)
    await page.evaluate("window.sameDocument = true")
    await box.fill("What is 17% of 2,431?")
    await box.press("Enter")
    kill_web(own_app)
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    await box.fill("Hello again")
    await box.press("Enter")
    await expect(answers).to_have_count(3, timeout=60_000)
    said = await page.get_by_role("log").locator("article.user .bubble").all_inner_texts()
    assert said == ["Hello", "What is 17% of 2,431?", "Hello again"]
    assert await page.evaluate("window.sameDocument")
    await context.close()
