"""Setting up, signing in and out."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import EMAIL, PASSWORD, House, check_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_a_page_asks_for_a_sign_in_and_comes_back_to_itself(house: House) -> None:
    """IDN-1."""
    async with house.visitor() as context:
        page = await context.new_page()
        await page.goto("/account")
        await expect(page).to_have_url(re.compile(r"/sign-in\?next=/account$"))
        await check_accessible(page)
        await page.get_by_label("Email").fill(EMAIL)
        await page.get_by_label("Password").fill("not the password")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("The email or the password is not right.")).to_be_visible()
        await expect(page.get_by_label("Email")).to_have_value(EMAIL)
        await expect(page.get_by_label("Password")).to_have_value("")
        await check_accessible(page)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Account")).to_be_visible()
        await expect(page.get_by_text(EMAIL)).to_be_visible()


async def test_the_setup_link_works_once(house: House) -> None:
    """IDN-1."""
    async with house.visitor() as context:
        page = await context.new_page()
        await page.goto("/setup?token=anything")
        await expect(page.get_by_text("AutoWeave is set up already")).to_be_visible()
        await check_accessible(page)


async def test_signing_out_ends_the_session_in_every_tab(house: House) -> None:
    """IDN-1."""
    async with house.visitor() as context:
        first = await context.new_page()
        await first.goto("/sign-in")
        await first.get_by_label("Email").fill(EMAIL)
        await first.get_by_label("Password").fill(PASSWORD)
        await first.get_by_role("button", name="Sign in").click()
        await first.wait_for_url("**/chat")
        second = await context.new_page()
        await second.goto("/chat")
        await expect(second.get_by_role("textbox", name="Message")).to_be_visible()
        await first.get_by_role("link", name="Account").click()
        await first.get_by_role("button", name="Sign out").click()
        await expect(first).to_have_url(re.compile("/sign-in$"))
        await expect(second).to_have_url(re.compile("/sign-in"))
        await first.goto("/chat")
        await expect(first).to_have_url(re.compile("/sign-in$"))


async def test_a_link_to_elsewhere_is_not_followed_after_the_sign_in(house: House) -> None:
    """IDN-1."""
    async with house.visitor() as context:
        page = await context.new_page()
        await page.goto("/sign-in?next=https://evil.example/")
        await page.get_by_label("Email").fill(EMAIL)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(f"{house.url}/chat")


async def test_an_address_that_leads_nowhere_says_so(house: House) -> None:
    """ADM-2."""
    async with house.visitor() as context:
        page = await context.new_page()
        response = await page.goto("/nowhere")
        assert response is not None
        assert response.status == 404
        await expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
        await check_accessible(page)
