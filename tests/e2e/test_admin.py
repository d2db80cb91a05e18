"""Health, keys, account, and getting anywhere by keyboard."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.conftest import DESK, PHONE, House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

PAGES = (
    "/chat",
    "/admin/health",
    "/admin/keys",
    "/account",
    "/admin/traces",
    "/admin/traces?text=nothing+is+called+so",
    "/admin/traces/00000000000000000000000000000001",
    "/admin/agents",
    "/admin/agents/agt_nothing",
    "/admin/topics",
    "/admin/topics/aw.chat?since=all",
    "/admin/topics/aw.chat?partition=0&offset=0",
    "/admin/topics/aw.chat?partition=0&offset=nowhere&since=2026-01-31T12:00",
    "/admin/topics/aw.nothing",
    "/admin/events",
    "/admin/events?text=nothing+is+called+so",
    "/admin/events/flows.run_finished.v1",
    "/admin/events/agents.event_given_up.v1",
    "/admin/events/nothing.v1",
    "/admin/webhooks",
    "/admin/webhooks/whs_00000000000000000000000000",
    "/admin/dead-letters",
    "/admin/dead-letters?status=DISCARDED",
    "/admin/dead-letters/999999",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_every_page_is_accessible_and_fits(house: House, scheme: str, viewport: dict[str, int]) -> None:
    """ADM-2."""
    async with house.person(viewport=viewport, color_scheme=scheme) as context:
        page = await context.new_page()
        for path in PAGES:
            await page.goto(path)
            await expect(page.locator("#main")).to_be_visible(timeout=15_000)
            await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
            await check_accessible(page)
            assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path


async def test_nothing_is_lost_on_a_phone_with_text_of_twice_the_size(house: House) -> None:
    """ADM-2: neither the page nor a part of it that scrolls downwards is wider than the screen."""
    async with house.person(viewport=PHONE) as context:
        page = await context.new_page()
        await page.goto("/chat")
        await page.get_by_role("textbox", name="Message").fill("What is 17% of 2,431?")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        for path in (page.url, *PAGES):
            await page.goto(path)
            await expect(page.locator("#main")).to_be_visible(timeout=15_000)
            await expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            wide = await page.evaluate(
                """() => [document.documentElement, ...document.querySelectorAll(".scroll")]
                     .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.className)"""
            )
            assert wide == [], path


async def test_a_trace_is_found_by_its_words_and_the_address_keeps_them(house: House) -> None:
    """OBS-2."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        await page.get_by_role("textbox", name="Message").fill("Hello")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("traces")
        await page.keyboard.press("Enter")
        rows = page.get_by_role("group", name="Traces").get_by_role("row")
        await expect(rows.filter(has_text="chat.send").first).to_be_visible(timeout=15_000)
        await page.get_by_label("Search titles").fill("chat.s")
        await expect(page).to_have_url(re.compile(r"\?text=chat\.s$"))
        await expect(page.get_by_label("Search titles")).to_be_focused()
        await page.get_by_label("Duration").select_option("10 s and more")
        await expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()
        await page.reload()
        await expect(page.get_by_label("Search titles")).to_have_value("chat.s")
        await expect(page.get_by_label("Duration")).to_have_value("10000")
        await page.get_by_role("link", name="Show all").click()
        await expect(page).to_have_url(re.compile(r"/admin/traces$"))
        await expect(page.get_by_label("Search titles")).to_have_value("")
        await page.get_by_label("Status").select_option("Done")
        await rows.filter(has_text="chat.send").first.get_by_role("link", name="Open").click()
        await expect(page).to_have_url(re.compile(r"/admin/traces/[0-9a-f]{32}$"))
        await expect(page.get_by_role("heading", name="chat.send", level=1)).to_be_visible()


async def test_health_shows_every_part_and_stays_live(house: House) -> None:
    """ADM-1."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/admin/health")
        for part in ("Database", "Event bus", "Model", "Traces"):
            await expect(page.get_by_role("heading", name=part)).to_be_visible()
        await expect(page.get_by_text("checked just now")).to_be_visible()


async def test_a_key_is_shown_once_works_and_is_revoked(house: House) -> None:
    """IDN-2."""
    async with house.person(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = await context.new_page()
        await page.goto("/admin/keys")
        await page.get_by_role("button", name="Create key").first.click()
        dialog = page.get_by_role("dialog", name="Create an API key")
        await dialog.get_by_label("Name").fill("Continuous integration")
        await dialog.get_by_label("agents:read").check()
        await check_accessible(page)
        await dialog.get_by_role("button", name="Create key").click()
        secret = await dialog.get_by_label("The key").inner_text()
        await dialog.get_by_role("button", name="Copy key").click()
        assert await page.evaluate("navigator.clipboard.readText()") == secret
        async with httpx.AsyncClient(base_url=house.url, headers={"authorization": f"Bearer {secret}"}) as program:
            assert (await program.get("/v1/agents")).status_code == 200
            await dialog.get_by_role("button", name="Done").click()
            await expect(page.get_by_text(secret)).to_have_count(0)
            row = page.get_by_role("row").filter(has_text="Continuous integration")
            await row.get_by_role("button", name="Revoke").click()
            await page.get_by_role("button", name="Revoke key").click()
            await expect(row).to_have_count(0)
            assert (await program.get("/v1/agents")).status_code == 401


async def test_what_is_wrong_with_a_key_stands_in_the_dialog(house: House) -> None:
    """ADM-2."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/admin/keys")
        await page.get_by_role("button", name="Create key").first.click()
        dialog = page.get_by_role("dialog", name="Create an API key")
        await dialog.get_by_label("Name").fill("Nothing allowed")
        await dialog.get_by_label("agents:run").uncheck()
        await dialog.get_by_role("button", name="Create key").click()
        await expect(dialog.get_by_text("at least one permission")).to_be_visible()
        await expect(dialog.get_by_label("Name")).to_have_value("Nothing allowed")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("button", name="Create key").first).to_be_focused()


async def test_everywhere_by_keyboard_alone(house: House) -> None:
    """ADM-2."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        await expect(page.get_by_role("textbox", name="Message")).to_be_focused()
        await page.keyboard.press("Control+k")
        search = page.get_by_role("combobox", name="Search pages, chats and agents")
        await expect(search).to_be_focused()
        await expect(page.get_by_role("option", name="Health")).to_be_visible()
        await check_accessible(page)
        await page.keyboard.type("health")
        await page.keyboard.press("Enter")
        # The words come by an effect of the new page, so its keys work from here on.
        await expect(page.get_by_text("checked just now")).to_be_visible()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        await check_accessible(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("Tab")
        ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid"


async def test_the_theme_follows_the_system_until_one_is_chosen(house: House) -> None:
    """ADM-2."""
    async with house.person(color_scheme="dark") as context:
        page = await context.new_page()
        await page.goto("/account")
        await expect(page.locator("html")).to_have_class(re.compile("dark"))
        await page.get_by_role("radio", name="Light").click()
        await expect(page.locator("html")).to_have_class(re.compile("light"))
        await page.reload()
        await expect(page.locator("html")).to_have_class(re.compile("light"))
        await expect(page.get_by_role("radio", name="Light")).to_be_checked()
