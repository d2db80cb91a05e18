"""A person looks at the topics of the bus, in a browser."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_what_a_chat_tells_is_seen_on_its_topic_as_it_comes(house: House) -> None:
    """BUS-10."""
    async with house.person() as context:
        admin, chat = await context.new_page(), await context.new_page()
        await admin.goto("/admin/topics")
        rows = admin.get_by_role("group", name="Topics").locator("tbody").get_by_role("row")
        await expect(rows).to_have_count(6)
        await admin.get_by_role("link", name="Open aw.chat").click()
        await expect(admin).to_have_url(re.compile(r"/admin/topics/aw\.chat$"))
        await expect(admin.get_by_role("heading", name="aw.chat", level=1)).to_be_visible()
        await expect(admin.locator(".skeleton")).to_have_count(0, timeout=60_000)
        await expect(admin.get_by_role("group", name="Table of consumers")).to_contain_text("0-7", timeout=60_000)
        await chat.goto("/chat")
        await chat.get_by_role("textbox", name="Message").fill("A word about zebra looms")
        await chat.get_by_role("textbox", name="Message").press("Enter")
        await expect(chat.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        first = admin.get_by_role("list", name="Events").get_by_role("listitem").first
        await expect(first).to_contain_text("A word about zebra looms", timeout=15_000)
        await first.get_by_text("chat.message_sent.v1").click()
        await expect(first.get_by_role("link", name="Open trace")).to_be_visible()
        await check_accessible(admin)
        await admin.get_by_label("Search events").fill("no such word")
        await expect(admin.get_by_role("heading", name="No event fits")).to_be_visible()
        await expect(admin).to_have_url(re.compile(r"text=no\+such\+word"))
        await admin.get_by_label("Search events").fill("ZEBRA LOOMS")
        await expect(admin.get_by_role("list", name="Events").get_by_role("listitem")).to_have_count(1)
