"""CHT-3, IDN-3: several web processes share what open pages know, so that a tab may come back to any of them."""

import os
import re
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import DESK, fill_setup
from tests.fixtures.app import RunningApp, require_pages
from tests.fixtures.processes import ask_valkey
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def two_workers(tmp_path: Path) -> AsyncGenerator[RunningApp]:
    """An app with two processes that serve pages."""
    require_pages()
    running = RunningApp(tmp_path, {"AUTOWEAVE_WEB_WORKERS": "2"})
    try:
        yield running.ready()
    finally:
        running.stop()


async def server_of(app: RunningApp, page: Page) -> int:
    """The process that has the page's socket, 0 for none."""
    token = await page.evaluate("sessionStorage.getItem('token')")
    found = re.search(rb"\r\n(\d+)-", ask_valkey(app.data, f"GET aw:tabs:socket:{token}".encode()))
    return int(found[1]) if found else 0


async def test_a_page_goes_on_where_it_was_when_its_web_process_is_killed(
    two_workers: RunningApp, browser: Browser
) -> None:
    """The dialog with the new key is known to the server alone: no reload could make it again."""
    context = await browser.new_context(viewport=DESK, base_url=two_workers.url)
    page = await context.new_page()
    await page.goto(two_workers.setup_url)
    await fill_setup(page)
    await page.get_by_role("button", name="Create workspace").click()
    await page.wait_for_url("**/chat")
    await page.goto("/admin/keys")
    await page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Till")
    await dialog.get_by_role("button", name="Create key").click()
    secret = page.get_by_label("The key")
    await expect(secret).to_be_visible()
    shown = await secret.inner_text()
    kept = ask_valkey(two_workers.data, b"KEYS aw:tabs:*")
    assert b"aw:tabs:tab:" in kept

    before = await server_of(two_workers, page)
    os.kill(before, signal.SIGKILL)

    async def elsewhere() -> bool:
        return await server_of(two_workers, page) not in (0, before)

    await until(elsewhere, 15)
    await expect(secret).to_have_text(shown)
    await dialog.get_by_role("button", name="Done").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("cell", name="Till", exact=True)).to_be_visible()
    await context.close()
