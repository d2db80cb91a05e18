"""A real browser on a running app.

Every page of the browser fails its test when a script of ours fails, or breaks the page's policy.
"""

import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.e2e.axe import axe_script
from tests.fixtures.receiver import Receiver, receiving

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
EMAIL = "ada@example.org"
PASSWORD = "a long enough phrase 42"
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


class App(Protocol):
    """A running AutoWeave: where it is, and the link of its first setup."""

    url: str
    setup_url: str


@dataclass
class House:
    """A running app with an administrator, and the browser to see it with."""

    url: str
    browser: Browser
    cookies: list[Any]

    @asynccontextmanager
    async def visitor(self, **options: Any) -> AsyncIterator[BrowserContext]:
        """A browser of somebody who is not signed in."""
        context = await self.browser.new_context(**{"viewport": DESK, "base_url": self.url, **options})
        context.set_default_timeout(15_000)
        failures: list[str] = []
        context.on("weberror", lambda error: failures.append(str(error.error)))
        context.on("console", lambda message: failures.extend(_failure(message)))
        try:
            yield context
        finally:
            await context.close()
        assert failures == []

    @asynccontextmanager
    async def person(self, **options: Any) -> AsyncIterator[BrowserContext]:
        """The administrator's browser."""
        async with self.visitor(**options) as context:
            await context.add_cookies(self.cookies)
            yield context


def _failure(message: ConsoleMessage) -> list[str]:
    return [message.text] if message.type == "error" and "Content Security Policy" in message.text else []


def chromium() -> str:
    """The system's browser; Playwright's own cannot be downloaded everywhere."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("No Chromium on this machine: `apt install chromium`.")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    """A browser for the tests of a module."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(app: App, browser: Browser) -> House:
    """The app, set up by the first test module that comes, entered by the others."""
    context = await browser.new_context(base_url=app.url)
    page = await context.new_page()
    await page.goto(app.setup_url)
    # Either the form, or the words that somebody has been here before.
    create = page.locator("button:enabled", has_text="Create workspace")
    await expect(create.or_(page.get_by_text("is set up already"))).to_be_visible(timeout=15_000)
    if await create.is_visible():
        await fill_setup(page)
        await create.click()
        await page.wait_for_url("**/chat")
    else:
        await sign_in(page)
    cookies = await context.cookies()
    await context.close()
    return House(app.url, browser, cookies)


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncGenerator[Receiver]:
    """A receiver of webhooks, in the loop of the tests."""
    async with receiving() as made:
        yield made


async def fill_setup(page: Page) -> None:
    """Fill the setup form."""
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Workspace").fill("Analytical Engines")


async def sign_in(page: Page) -> None:
    """Sign in as the administrator and wait for the chat."""
    await page.goto("/sign-in")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/chat")


async def check_accessible(page: Page) -> None:
    """Fail with what axe finds, each with its place, once what fades in is at rest: a colour half-way is no colour."""
    await page.evaluate(axe_script())
    await page.wait_for_function(
        """() => document.getAnimations().every(({effect, playState}) =>
             playState !== "running" || effect.getComputedTiming().endTime === Infinity)"""
    )
    found = await page.evaluate(
        """async (rules) => (await axe.run(document, {runOnly: rules})).violations.map(
             ({id, help, nodes}) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" | ")}`)""",
        RULES,
    )
    assert found == [], page.url
