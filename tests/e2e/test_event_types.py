"""A person looks an event up, in a browser."""

import re

import pytest
from playwright.async_api import expect

from backend.foundation.events.types import CATALOGUE
from tests.e2e.conftest import House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_an_event_is_looked_up_from_the_search_to_what_flows(house: House) -> None:
    """BUS-6."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/admin/events")
        rows = page.get_by_role("group", name="Event types").locator("tbody").get_by_role("row")
        await expect(rows).to_have_count(len(CATALOGUE))
        await page.get_by_label("Search event types").fill("no such word")
        await expect(page.get_by_role("heading", name="No event type fits")).to_be_visible()
        await page.get_by_label("Search event types").fill("message_sent")
        await expect(page).to_have_url(re.compile(r"\?text=message_sent$"))
        await expect(rows).to_have_count(1)
        for words, begins in (("YAML", "asyncapi: 3.0.0"), ("JSON", '{"asyncapi":"3.0.0"')):
            links = page.get_by_role("link", name=words)
            await expect(links).to_have_count(2)
            for link in await links.all():
                answer = await context.request.get(str(await link.get_attribute("href")))
                assert (await answer.text()).startswith(begins)
        await page.get_by_role("link", name="Open chat.message_sent.v1").click()
        await expect(page).to_have_url(re.compile(r"/admin/events/chat\.message_sent\.v1$"))
        await expect(page.get_by_role("heading", name="chat.message_sent.v1", level=1)).to_be_visible()
        await expect(page.get_by_text("A person sent a message to an agent.")).to_be_visible()
        await expect(page.get_by_role("group", name="Fields").get_by_role("row")).to_have_count(6)
        await expect(page.get_by_text("0 for agents")).to_be_visible(timeout=30_000)
        await expect(page.get_by_text(" / s, over 10 seconds")).to_be_visible(timeout=30_000)
        await check_accessible(page)
        await page.get_by_role("link", name="Show events").click()
        await expect(page).to_have_url(re.compile(r"/admin/topics/aw\.chat\?type=chat\.message_sent\.v1$"))
