"""A person looks who is there, and stops and publishes an agent, in a browser."""

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
PATIENCE_MS = 60_000


async def test_an_agent_is_stopped_published_and_started_again_while_another_looks_on(house: House) -> None:
    """BUS-7."""
    async with house.person() as context:
        admin, other = await context.new_page(), await context.new_page()
        for page in (admin, other):
            await page.goto("/admin/health")
            await page.get_by_role("link", name="Discovery").click()
        line = other.get_by_role("group", name="Agents").get_by_role("row").filter(has_text="Concierge")
        await expect(line.get_by_text("Alive")).to_be_visible(timeout=PATIENCE_MS)
        await admin.get_by_role("link", name="Open Concierge").click()
        await admin.get_by_role("button", name="Stop agent").click(timeout=PATIENCE_MS)
        await expect(line.get_by_text("Stopped")).to_be_visible(timeout=PATIENCE_MS)
        await admin.get_by_role("button", name="Publish card").click()
        await expect(line.get_by_text("Public")).to_be_visible(timeout=PATIENCE_MS)
        await check_accessible(admin)
        await admin.get_by_role("button", name="Hide card").click()
        await admin.get_by_role("button", name="Start agent").click()
        await expect(line.get_by_text("Alive")).to_be_visible(timeout=PATIENCE_MS)
        await expect(line.get_by_text("Workspace")).to_be_visible(timeout=PATIENCE_MS)
