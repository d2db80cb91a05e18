"""A person looks at the topics of the bus, in a browser."""

import re

import pytest
from playwright.async_api import expect

from backend.foundation.events.types import CATALOGUE
from tests.e2e.conftest import House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_what_a_chat_tells_is_seen_on_its_topic_as_it_comes(house: House) -> None:
    """BUS-10."""
    async with house.person() as context:
        admin, chat = await context.new_page(), await context.new_page()
        await admin.goto("/admin/topics")
        rows = admin.get_by_role("group", name="Topics").locator("tbody").get_by_role("row")
        await expect(rows).to_have_count(len({entry.topic for entry in CATALOGUE.values()}))
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


async def test_a_partition_is_browsed_from_an_offset_on(house: House) -> None:
    """BUS-10."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        await page.get_by_role("textbox", name="Message").fill("A word about paper boats")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page.get_by_role("article", name="Answer", exact=True)).to_be_visible()
        await page.goto("/admin/topics/aw.chat?text=paper+boats")
        events = page.get_by_role("list", name="Events").get_by_role("listitem")
        await expect(events.first).to_contain_text("chat.message_sent.v1", timeout=30_000)
        await events.first.get_by_text("chat.message_sent.v1").click()
        partition, offset = (await events.first.locator("dd").filter(has_text=" @ ").inner_text()).split(" @ ")
        await page.get_by_label("Partition", exact=True).select_option(partition)
        await page.get_by_label("From offset").fill(offset)
        await expect(page).to_have_url(re.compile(f"partition={partition}&offset={offset}$"), timeout=30_000)
        await expect(events).to_have_count(1, timeout=30_000)
        await page.get_by_text("8 partitions").click()
        await expect(page.get_by_role("group", name="Partitions").locator("tbody").get_by_role("row")).to_have_count(8)
        await check_accessible(page)
        await page.get_by_role("link", name=f"Browse partition {partition}").click()
        await expect(page).to_have_url(re.compile(rf"aw\.chat\?partition={partition}&offset=[\d-]+$"))
        await expect(events.first).to_be_visible(timeout=30_000)
        await page.get_by_label("From offset").fill("nowhere")
        await expect(page.get_by_text("is no offset of this bus")).to_be_visible(timeout=30_000)
