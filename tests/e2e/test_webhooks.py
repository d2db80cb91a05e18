"""A person makes a webhook, tries it, and looks after it, in a browser."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import House, check_accessible
from tests.fixtures.receiver import Receiver, answer

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LIST = "/admin/webhooks"


async def test_a_webhook_is_made_tried_turned_off_by_its_receiver_and_deleted(house: House, receiver: Receiver) -> None:
    """BUS-9."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto(LIST)
        await page.get_by_role("button", name="Create webhook").first.click()
        dialog = page.get_by_role("dialog", name="Create a webhook")
        await dialog.get_by_label("Address").fill("https://10.0.0.1/hook")
        await dialog.get_by_label("Some types").click()
        await expect(dialog.get_by_label("flows.run_finished.v1")).to_be_checked()
        await check_accessible(page)
        await dialog.get_by_role("button", name="Create webhook").click()
        await expect(dialog.get_by_text("10.0.0.1 is not a public address")).to_be_visible(timeout=30_000)
        # Nothing that was typed is lost.
        await expect(dialog.get_by_label("Address")).to_have_value("https://10.0.0.1/hook")
        await dialog.get_by_label("Address").fill(receiver.url)
        await dialog.get_by_role("button", name="Create webhook").click()
        await expect(dialog.get_by_label("The secret")).to_be_visible(timeout=30_000)
        secret = await dialog.get_by_label("The secret").inner_text()
        await dialog.get_by_role("link", name="Open it and send a test").click()
        await expect(page.get_by_role("heading", name="Nothing was sent yet")).to_be_visible(timeout=30_000)
        await page.get_by_role("button", name="Send test", exact=True).click()
        sheet = page.get_by_role("dialog", name="Delivery")
        await expect(sheet.get_by_text("Delivered")).to_be_visible(timeout=60_000)
        await expect(sheet.get_by_text("204")).to_be_visible()
        await check_accessible(page)
        [request] = receiver.requests
        assert request.verify(secret)["type"] == "webhooks.test.v1"
        await page.reload()
        await expect(sheet.get_by_text("Delivered")).to_be_visible(timeout=30_000)
        receiver.answers.append(answer(410, b"I am gone"))
        await sheet.get_by_role("button", name="Redeliver").click()
        await expect(sheet.get_by_text("I am gone")).to_be_visible(timeout=60_000)
        await page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0, timeout=30_000)
        await expect(page.get_by_text("It was turned off")).to_be_visible(timeout=30_000)
        await page.get_by_role("button", name="Turn on").click()
        await page.get_by_role("button", name="Redeliver 1 failed").click(timeout=30_000)
        rows = page.get_by_role("group", name="Deliveries").locator("tbody").get_by_role("row")
        await expect(rows.filter(has_text="Delivered")).to_have_count(1, timeout=60_000)
        assert len({request.id for request in receiver.requests}) == 1
        await page.get_by_role("button", name="Delete…").click()
        await page.get_by_role("button", name="Delete webhook").click()
        await expect(page).to_have_url(re.compile(rf"{LIST}$"), timeout=30_000)
        await expect(page.get_by_text(receiver.url)).to_have_count(0, timeout=30_000)
        assert secret not in await page.content()


async def test_a_secret_is_rotated_and_both_sign_for_a_time(house: House, receiver: Receiver) -> None:
    """BUS-9."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto(LIST)
        await page.get_by_role("button", name="Create webhook").first.click()
        dialog = page.get_by_role("dialog", name="Create a webhook")
        await dialog.get_by_label("Address").fill(receiver.url)
        await dialog.get_by_role("button", name="Create webhook").click()
        old = await dialog.get_by_label("The secret").inner_text(timeout=30_000)
        await dialog.get_by_role("link", name="Open it and send a test").click()
        await page.get_by_role("button", name="Rotate secret…").click(timeout=30_000)
        dialog = page.get_by_role("dialog", name="Rotate the secret")
        await check_accessible(page)
        await dialog.get_by_role("button", name="Rotate secret").click()
        new = await dialog.get_by_label("The secret").inner_text(timeout=30_000)
        await dialog.get_by_role("button", name="Done").click()
        await expect(page.get_by_text("the one before may sign until")).to_be_visible(timeout=30_000)
        await page.get_by_role("button", name="Send test", exact=True).click()
        await expect(page.get_by_role("dialog", name="Delivery").get_by_text("Delivered")).to_be_visible(timeout=60_000)
        [request] = receiver.requests
        assert old != new
        assert request.verify(old) == request.verify(new)
