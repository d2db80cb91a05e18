"""Talking to an agent: answers, tools, stop, reload, a second tab, the history."""

import asyncio
import json
import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import PHONE, House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LONG = f"Which keys has {json.dumps(dict.fromkeys([f'key {n}' for n in range(800)], 1))}?"
"""Its answer names them all, and takes some seconds."""
SLOW = "Write a poem about weaving, as long as you can"


def message_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message")


async def new_chat(page: Page) -> Locator:
    await page.goto("/chat")
    await expect(page.get_by_role("heading", name="Concierge")).to_be_visible()
    return message_box(page)


async def ask(page: Page, text: str) -> None:
    """Send a message and wait for the end of the answer."""
    answers = page.get_by_role("article", name="Answer", exact=True)
    before = await answers.count()
    await message_box(page).fill(text)
    await message_box(page).press("Enter")
    await expect(answers).to_have_count(before + 1)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_an_empty_chat_teaches_and_its_example_works_with_one_click(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await check_accessible(page)
        prompts = page.get_by_role("group", name="Questions to begin with").get_by_role("button")
        await expect(prompts).to_have_count(3)
        question = await prompts.first.inner_text()
        await prompts.first.click()
        await expect(page.get_by_role("article").get_by_text(question)).to_be_visible()
        await expect(page).to_have_url(re.compile(r"/chat/thr_\w+$"))
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible()


async def test_a_tool_call_is_one_line_that_opens_to_its_trace(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await ask(page, "What is 17% of 2,431?")
        await expect(page.get_by_role("log")).to_contain_text("413.27")
        line = page.locator("details.tool summary").first
        await expect(line).to_contain_text("done")
        await line.click()
        await expect(page.get_by_text("Arguments")).to_be_visible()
        await expect(page.get_by_text("Result", exact=True)).to_be_visible()
        await check_accessible(page)
        await page.locator("details.tool").get_by_role("link", name="Open trace").click()
        await expect(page).to_have_url(re.compile(r"/admin/traces/[0-9a-f]{32}$"))
        await expect(page.get_by_role("list", name="Spans").get_by_role("listitem").first).to_be_visible()
        await check_accessible(page)


async def test_the_first_message_shows_at_once_and_the_page_is_not_loaded_again(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        box = await new_chat(page)
        await page.evaluate("window.sameDocument = true")
        await box.fill("Hello")
        await box.press("Enter")
        await expect(page.get_by_role("log").get_by_text("Hello", exact=True)).to_be_visible(timeout=1_000)
        await expect(page).to_have_url(re.compile("/chat/thr_"))
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert await page.evaluate("window.sameDocument")
        await expect(box).to_be_focused()


async def test_stop_keeps_what_came_and_says_so(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        box = await new_chat(page)
        await box.fill(LONG)
        await box.press("Enter")
        await expect(page.get_by_role("article", name="Answer in progress")).to_contain_text("key 9", timeout=15_000)
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        await expect(page.get_by_role("button", name="Stop")).to_have_count(0)
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_contain_text("key 9")


async def test_an_answer_goes_on_after_a_reload_and_in_a_second_tab(house: House) -> None:
    """CHT-3."""
    async with house.person() as context:
        page = await context.new_page()
        box = await new_chat(page)
        await box.fill(SLOW)
        await box.press("Enter")
        await expect(page).to_have_url(re.compile("/chat/thr_"))
        await page.reload()
        second = await context.new_page()
        await second.goto(page.url)
        for tab in (page, second):
            await expect(tab.get_by_role("article", name="Answer", exact=True)).to_be_visible()
            await expect(tab.get_by_role("log").get_by_text(SLOW)).to_have_count(1)
        words = [await tab.get_by_role("article", name="Answer", exact=True).inner_text() for tab in (page, second)]
        assert words[0] == words[1]


async def test_a_lost_connection_shows_one_bar_and_catches_up_without_a_reload(house: House) -> None:
    """CHT-3."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await ask(page, "Hello")
        await page.evaluate("window.sameDocument = true")
        await context.set_offline(True)
        # Chromium keeps open sockets open when it goes offline, so the page is asked to close its own.
        await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
        await message_box(page).fill("What is 2 + 2?")
        await message_box(page).press("Enter")
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await expect(page.get_by_role("log").get_by_text("What is 2 + 2?")).to_be_visible()
        await context.set_offline(False)
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_have_count(2)
        await expect(page.get_by_text("Connection lost")).to_have_count(0)
        await expect(page.get_by_role("log").get_by_text("What is 2 + 2?")).to_have_count(1)
        assert await page.evaluate("window.sameDocument")


async def test_tabs_that_begin_a_chat_at_the_same_moment_each_get_their_own(house: House) -> None:
    """CHT-1. What waits to be sent is stored for all tabs of a browser."""
    async with house.person() as context:
        tabs = [await context.new_page() for _ in range(2)]
        words = ["What is 2 + 2?", "What is 3 + 3?"]
        for tab, text in zip(tabs, words, strict=True):
            await (await new_chat(tab)).fill(text)
        await asyncio.gather(*(message_box(tab).press("Enter") for tab in tabs))
        for tab, text, other in zip(tabs, words, reversed(words), strict=True):
            await expect(tab).to_have_url(re.compile(r"/chat/thr_\w+$"))
            await expect(tab.get_by_role("article", name="Answer", exact=True)).to_be_visible()
            await expect(tab.get_by_role("log").get_by_text(text)).to_have_count(1)
            await expect(tab.get_by_role("log").get_by_text(other)).to_have_count(0)
        assert tabs[0].url != tabs[1].url


async def test_what_a_closed_tab_could_not_send_is_sent_by_the_next(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await context.set_offline(True)
        await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
        await message_box(page).fill("What is 5 + 5?")
        await message_box(page).press("Enter")
        await expect(page.get_by_text("Goes out when the connection is back")).to_be_visible()
        await page.close()
        await context.set_offline(False)
        second = await context.new_page()
        await second.goto("/chat")
        await expect(second).to_have_url(re.compile(r"/chat/thr_\w+$"), timeout=30_000)
        await expect(second.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        await expect(second.get_by_role("log").get_by_text("What is 5 + 5?")).to_have_count(1)


async def test_what_was_typed_survives_a_reload(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        box = await new_chat(page)
        await box.fill("Half a thought")
        await page.reload()
        await expect(message_box(page)).to_have_value("Half a thought")
        await message_box(page).press("Shift+Enter")
        await message_box(page).type("and its end")
        await expect(message_box(page)).to_have_value("Half a thought\nand its end")
        await message_box(page).fill("")


async def test_messages_sent_meanwhile_wait_in_line(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        box = await new_chat(page)
        await box.fill(SLOW)
        await box.press("Enter")
        await box.fill("What is 2 + 2?")
        await box.press("Enter")
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_have_count(2)
        said = await page.get_by_role("log").locator("article").evaluate_all("all => all.map(e => e.ariaLabel)")
        assert said == ["Your message", "Answer", "Your message", "Answer"]


async def test_what_a_model_writes_never_becomes_markup(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await ask(page, '<img src=x onerror="document.title = 1"> <script>alert(1)</script> javascript:alert(1)')
        log = page.get_by_role("log")
        await expect(log.locator("img, script, iframe")).to_have_count(0)
        await expect(log).to_contain_text("<img src=x")


async def test_a_chat_is_renamed_deleted_and_brought_back_in_all_tabs(house: House) -> None:
    """CHT-1."""
    async with house.person() as context:
        page = await context.new_page()
        await new_chat(page)
        await ask(page, "Hello again")
        second = await context.new_page()
        await second.goto("/chat")
        entry = page.locator(".history li.here")
        await entry.hover()
        await entry.get_by_role("button", name="Rename").click()
        await page.get_by_label("New title").fill("A better title")
        await page.keyboard.press("Enter")
        await expect(second.get_by_role("link", name="A better title")).to_be_visible()
        await entry.hover()
        await entry.get_by_role("button", name="Delete").click()
        await expect(page).to_have_url(re.compile("/chat$"))
        await expect(second.get_by_role("link", name="A better title")).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(page).to_have_url(re.compile("/chat/thr_"))
        await expect(second.get_by_role("link", name="A better title")).to_be_visible()


async def test_a_chat_that_is_not_there_says_so(house: House) -> None:
    """IDN-3."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat/thr_of_somebody_else")
        await expect(page.get_by_role("heading", name="This chat is not here")).to_be_visible()
        await check_accessible(page)


async def test_reading_further_up_is_not_disturbed(house: House) -> None:
    """CHT-1."""
    async with house.person(viewport={"width": 900, "height": 420}) as context:
        page = await context.new_page()
        await new_chat(page)
        for _ in range(3):
            await ask(page, "What is 17% of 2,431?")
        scroller = page.locator(".conversation .scroll")
        await scroller.hover()
        await page.mouse.wheel(0, -2_000)
        await expect(page.get_by_role("button", name="Jump to newest")).to_be_visible()
        second = await context.new_page()
        await second.goto(page.url)
        await expect(second.get_by_role("article", name="Answer", exact=True)).to_have_count(3)
        await ask(second, "What is 2 + 2?")
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_have_count(4)
        assert await scroller.evaluate("e => e.scrollTop") == 0
        await page.get_by_role("button", name="Jump to newest").click()
        await expect(page.get_by_role("article", name="Answer", exact=True).last).to_be_in_viewport()


async def test_a_phone_shows_the_chat_whole_and_the_rail_as_a_drawer(house: House) -> None:
    """CHT-5."""
    async with house.person(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = await context.new_page()
        await new_chat(page)
        await ask(page, "What is 17% of 2,431?")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await check_accessible(page)
        await page.get_by_role("button", name="Open navigation").click()
        await expect(page.get_by_role("link", name="New chat")).to_be_in_viewport()
        await check_accessible(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("link", name="New chat")).not_to_be_in_viewport()
        await expect(page.get_by_role("button", name="Open navigation")).to_be_focused()
