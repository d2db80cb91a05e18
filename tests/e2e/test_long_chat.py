"""A chat of five thousand messages: opens at its end, is read up and down, and the page stays small."""

import json
import re
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import closing

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.e2e.conftest import House, check_accessible
from tests.fixtures.app import RunningApp
from tests.fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

MESSAGES = 5_000
COLUMNS = (
    "tenant", "id", "thread", "role", "text", "client_id", "trigger", "run", "status", "error_code", "error_message",
    "error_hint", "created_ms",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def long_chat(app: RunningApp, house: House) -> AsyncGenerator[str]:
    """The address of a chat, most of which was written into its rows."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        await page.get_by_role("textbox", name="Message").fill("Hello")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page).to_have_url(re.compile("/chat/thr_"))
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        address = page.url
    _fill(app, address.rpartition("/")[2])
    yield address


def _fill(app: RunningApp, thread: str) -> None:
    with closing(sqlite3.connect(app.data / "autoweave.db", timeout=10)) as db, db:
        newest = "SELECT tenant, MAX(created_ms) FROM chat_message WHERE thread = ?"
        tenant, last = db.execute(newest, [thread]).fetchone()
        marks = ", ".join("?" * len(COLUMNS))
        rows = [_row(tenant, thread, n, last + n) for n in range(2, MESSAGES)]
        db.executemany(f"INSERT INTO chat_message ({', '.join(COLUMNS)}) VALUES ({marks})", rows)


def _row(tenant: str, thread: str, number: int, made_ms: int) -> tuple[object, ...]:
    role, word = (("user", "Question"), ("assistant", "Answer"))[number % 2]
    text = f"{word} **number {number}**: " + "word " * (number % 40)
    trigger = f"evt_filled_{number // 2}"
    return (
        tenant, f"msg_{number:06}", thread, role, text, f"filled {number}", trigger, "", "done", "", "", "", made_ms
    )  # fmt: skip


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(page.get_by_text(f"number {MESSAGES - 1}", exact=True)).to_be_in_viewport()


async def where(page: Page) -> tuple[str, float]:
    """The first turn in view, and how far from the top of the page it stands."""
    found = await page.evaluate(
        """() => {
             const top = document.querySelector(".conversation .scroll").getBoundingClientRect().top;
             const turn = [...document.querySelectorAll(".turns > article")]
               .find((each) => each.getBoundingClientRect().bottom > top);
             return JSON.stringify([turn.innerText.slice(0, 30), turn.getBoundingClientRect().top]);
           }"""
    )
    text, at = json.loads(found)
    return text, at


async def first(page: Page) -> str:
    """The first turn on the page, in view or not."""
    return await page.locator(".turns > article").first.inner_text()


async def turns(page: Page) -> int:
    return await page.locator(".turns > article").count()


async def test_it_opens_at_its_end_at_once(house: House, long_chat: str) -> None:
    """CHT-5."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        link = page.locator(f'.history a[href$="{long_chat.rpartition("/")[2]}"]')
        await expect(link).to_be_visible()
        started = time.monotonic()
        await link.click()
        await expect(page.get_by_text(f"number {MESSAGES - 1}", exact=True)).to_be_in_viewport()
        print(f"opened in {time.monotonic() - started:.2f} s")
        assert await turns(page) <= 60
        await check_accessible(page)


async def test_what_is_read_stays_where_it_is_while_earlier_messages_come(house: House, long_chat: str) -> None:
    """CHT-5."""
    async with house.person() as context:
        page = await context.new_page()
        await opened(page, long_chat)
        for _ in range(6):
            before = await first(page)
            await page.locator(".conversation .scroll").evaluate("e => e.scrollTo(0, 300)")
            text, at = await where(page)

            async def more_has_come(before: str = before) -> bool:
                return await first(page) != before

            await until(more_has_come, 10)
            again, now = await where(page)
            assert again == text
            assert abs(now - at) < 2
            assert await turns(page) <= 210
        assert await page.get_by_text(f"number {MESSAGES - 1}", exact=True).count() == 0
        assert await page.evaluate("document.querySelectorAll('*').length") < 5_000
        await expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")
        await page.get_by_role("button", name="Jump to newest").click()
        await expect(page.get_by_text(f"number {MESSAGES - 1}", exact=True)).to_be_in_viewport()
        await expect(page.get_by_role("log")).to_have_attribute("aria-live", "polite")
        assert await turns(page) <= 60


async def test_it_is_read_by_keyboard_up_and_down_again(house: House, long_chat: str) -> None:
    """CHT-5."""
    async with house.person() as context:
        page = await context.new_page()
        await opened(page, long_chat)
        scroller = page.locator(".conversation .scroll")
        await scroller.focus()

        async def moved(key: str, wanted: int) -> bool:
            await page.keyboard.press(key)
            numbers = [int(n) for n in re.findall(r"number (\d+)", await page.get_by_role("log").inner_text())]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            return numbers[0] < wanted if key == "Home" else numbers[-1] >= wanted

        await until(lambda: moved("Home", MESSAGES - 400), 20)
        await expect(page.get_by_text(f"number {MESSAGES - 1}", exact=True)).to_have_count(0)
        await expect(page.get_by_role("button", name=re.compile("later messages"))).to_have_count(1)
        await until(lambda: moved("End", MESSAGES - 1), 20)
        await expect(page.get_by_text(f"number {MESSAGES - 1}", exact=True)).to_have_count(1)
        await expect(scroller).to_be_focused()


async def test_what_one_sends_from_far_up_is_seen_at_the_end(house: House, long_chat: str) -> None:
    """CHT-5."""
    async with house.person() as context:
        page = await context.new_page()
        await opened(page, long_chat)
        for _ in range(5):
            before = await first(page)
            await page.locator(".conversation .scroll").evaluate("e => e.scrollTo(0, 0)")

            async def more_has_come(before: str = before) -> bool:
                return await first(page) != before

            await until(more_has_come, 10)
        await page.get_by_role("textbox", name="Message").fill("What is 2 + 2?")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page.get_by_role("log").get_by_text("What is 2 + 2?", exact=True)).to_be_in_viewport()
