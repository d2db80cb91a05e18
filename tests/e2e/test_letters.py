"""A person repairs what was given up, in a browser."""

import re

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import text

from backend.adapters.database.database import SqlDatabase
from backend.bootstrap.outside import open_bus
from backend.bootstrap.settings import load
from backend.foundation.bus.ports import Message
from backend.foundation.events.codec import encode
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import StartRun
from backend.foundation.kernel.ids import TenantId
from tests.e2e.conftest import DESK, PHONE, House, check_accessible
from tests.fixtures.app import RunningApp

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LIST = "/admin/dead-letters"


async def poisoned(app: RunningApp, *values: bytes) -> None:
    """Send events of the house's tenant with these data, as a foreign program on the broker would."""
    settings = load({}, environ={"AUTOWEAVE_DATA": str(app.data)}, file=app.data / "none.toml")
    data = StartRun(agent="concierge", input="hello")
    bus = open_bus(settings)
    await bus.start()
    try:
        for value in values:
            event = Event(type="agents.start_run.v1", tenant=await tenant(app), key="k", source="/test", data=data)
            topic, key, headers, _ = encode(event)
            assert await bus.publish([Message(topic, key, headers, value)]) == [None]
    finally:
        await bus.close()


async def tenant(app: RunningApp) -> TenantId:
    settings = load({}, environ={"AUTOWEAVE_DATA": str(app.data)}, file=app.data / "none.toml")
    database = SqlDatabase(settings.database_url)
    try:
        async with database.system_read() as session:
            return TenantId((await session.execute(text("SELECT id FROM identity_tenant"))).scalar_one())
    finally:
        await database.close()


async def shown(page: Page, count: int) -> None:
    rows = page.get_by_role("group", name="Dead letters").locator("tbody").get_by_role("row")
    await expect(rows).to_have_count(count, timeout=20_000)


async def test_an_event_that_cannot_be_read_is_found_mended_and_sent_again(house: House, app: RunningApp) -> None:
    """BUS-4."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto("/chat")
        await expect(page.get_by_text("Connected")).to_be_visible()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("dead letters")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Nothing was given up")).to_be_visible(timeout=15_000)
        await poisoned(app, b'{"agent": "concierge", "input": 42}')
        await shown(page, 1)
        await page.get_by_role("link", name="Open agents.start_run.v1").click()
        await expect(page).to_have_url(re.compile(LIST + r"/\d+$"))
        await expect(page.get_by_role("paragraph").filter(has_text="BadPayload:")).to_be_visible()
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_role("alert").filter(has_text="does not fit")).to_be_visible()
        await page.get_by_label("Data").fill('{"agent": "concierge", "input": "42"}')
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_text("It fits the schema and can be sent")).to_be_visible()
        await page.get_by_role("button", name="Replay").click()
        await expect(page.get_by_text("Sent again")).to_be_visible()
        await expect(page.get_by_role("button", name="Replay")).to_have_count(0)
        await page.goto(LIST)
        await expect(page.get_by_role("heading", name="Nothing was given up")).to_be_visible(timeout=15_000)
        await page.get_by_label("Status").select_option("Replayed")
        await expect(page).to_have_url(re.compile(r"\?status=REPLAYED$"))
        await shown(page, 1)


async def test_all_are_replayed_and_what_cannot_be_sent_is_discarded(house: House, app: RunningApp) -> None:
    """BUS-4."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto(LIST)
        await poisoned(app, b"{", b"[]")
        await shown(page, 2)
        await page.get_by_role("button", name="Replay all…").click()
        dialog = page.get_by_role("dialog", name="Replay dead letters")
        await expect(dialog.get_by_role("heading", name="Replay 2 events?")).to_be_visible()
        await check_accessible(page)
        await dialog.get_by_role("button", name="Replay all").click()
        await expect(dialog.get_by_text("2 cannot be sent as they are")).to_be_visible()
        await check_accessible(page)
        await dialog.get_by_role("button", name="Done").click()
        await page.get_by_role("link", name="Open agents.start_run.v1").first.click()
        await page.get_by_role("button", name="Discard…").click()
        await page.get_by_label("Why").fill("A test order")
        await page.get_by_role("button", name="Discard", exact=True).click()
        await expect(page.get_by_text("A test order")).to_be_visible()
        await page.goto(LIST)
        await shown(page, 1)


async def test_letters_are_chosen_and_discarded_together(house: House, app: RunningApp) -> None:
    """BUS-4."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto(LIST)
        await poisoned(app, b"{", b"[]")
        await expect(page.get_by_role("checkbox").nth(2)).to_be_visible(timeout=20_000)
        await page.get_by_role("checkbox", name="Choose all that wait").click()
        await expect(page.get_by_text(re.compile(r"^\d chosen$"))).to_be_visible()
        await check_accessible(page)
        await page.get_by_role("button", name="Replay", exact=True).click()
        await expect(page.get_by_text("None was sent.")).to_be_visible()
        await page.get_by_role("checkbox", name="Choose all that wait").click()
        await page.get_by_role("button", name="Discard…").click()
        await page.get_by_label("Why").fill("A test order")
        await page.get_by_role("button", name="Discard", exact=True).click()
        await expect(page.get_by_text(re.compile(r"^\d discarded\.$"))).to_be_visible()
        await expect(page.get_by_role("heading", name="Nothing was given up")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_workbench_is_accessible_and_fits(
    house: House, app: RunningApp, scheme: str, viewport: dict[str, int]
) -> None:
    """ADM-2."""
    async with house.person(viewport=viewport, color_scheme=scheme) as context:
        page = await context.new_page()
        await page.goto(LIST)
        await poisoned(app, b"{" + b" " * 300 + b'"a long line": ' + b"x" * 300)
        await expect(page.get_by_role("link", name="Open agents.start_run.v1").first).to_be_visible(timeout=20_000)
        await check_accessible(page)
        wide = """() => [document.documentElement, ...document.querySelectorAll(".scroll")]
                          .filter((each) => each.scrollWidth > each.clientWidth).length"""
        await page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert await page.evaluate(wide) == 0
        await page.evaluate("document.documentElement.style.fontSize = ''")
        await page.get_by_role("link", name="Open agents.start_run.v1").first.click()
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_role("alert").filter(has_text="does not fit")).to_be_visible()
        await page.get_by_text("Stack", exact=True).click()
        await check_accessible(page)
        assert await page.evaluate(wide) == 0
        await page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert await page.evaluate(wide) == 0


async def test_a_letter_that_is_not_there_says_so(house: House) -> None:
    """ADM-2."""
    async with house.person() as context:
        page = await context.new_page()
        await page.goto(f"{LIST}/999999")
        await expect(page.get_by_role("heading", name="There is no such dead letter")).to_be_visible()
        await check_accessible(page)
