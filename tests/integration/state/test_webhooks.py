"""BUS-9: webhooks in admin tabs over real rooms."""

import asyncio
from typing import Any

import pytest

from backend.domain.webhooks.repository import deliveries
from backend.foundation.kernel.errors import Forbidden, Unauthenticated
from backend.foundation.kernel.ids import new_id
from state.admin.deliveries import DeliveriesState
from state.admin.webhook import WebhookState
from state.admin.webhooks import WebhooksState
from tests.fixtures.door import Installation
from tests.fixtures.waiting import until
from tests.integration.state.conftest import S, Tab
from tests.integration.state.test_session import target
from tests.security.probing import others

pytestmark = pytest.mark.integration

LIST = "/admin/webhooks"
URL = "https://example.org/hook"
FINISHED = "flows.run_finished.v1"


async def opened(house: Installation, kind: type[S], path: str = "") -> S:
    state = await Tab(house.ada_cookie, LIST + path).state(kind)
    await state.load()  # pyright: ignore[reportAttributeAccessIssue]
    return state


async def made(house: Installation, **form: Any) -> WebhooksState:
    """Open the form and send it."""
    state = await opened(house, WebhooksState)
    state.start()
    if form.get("which") == "some":
        state.choose("some")
    await WebhooksState.create.fn(state, {"url": URL, "which": "all"} | form)
    return state


async def delivery_of(house: Installation, webhook: str) -> str:
    """Queue something; return the delivery's id."""
    row = {"id": new_id("whd"), "tenant": house.ada.tenant, "subscription": webhook, "event": "e", "type": FINISHED}
    async with house.backend.database.write(house.ada.tenant) as session:
        await deliveries.queue(session, [row | {"body": '{"a":1}'}])
    return row["id"]


async def test_a_webhook_is_made_and_its_secret_shown_once(sqlite_installation: Installation) -> None:
    state = await made(sqlite_installation, **{"which": "some", f"type:{FINISHED}": "on"})
    assert (state.making, state.secret[:6]) == ("made", "whsec_")
    [line] = state.lines
    assert (line["url"], line["types"], line["status"]) == (URL, FINISHED, "On")
    secret = state.secret
    state.finish()
    other = await opened(sqlite_installation, WebhookState, f"/{line['id']}")
    held = str((await opened(sqlite_installation, WebhooksState)).dict()) + str(state.dict()) + str(other.dict())
    assert secret not in held


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"url": "ftp://example.org"}, "url", "https://"),
        ({"url": "http://example.org"}, "url", "AUTOWEAVE_WEBHOOK_HTTP"),
        ({"url": "https://10.0.0.1/x"}, "url", "not a public address"),
        ({"url": "https://a:b@example.org"}, "url", "user or password"),
        ({"url": "https://exa\x00mple.org"}, "url", "plain characters"),
        ({"url": "https://example.org/" + "x" * 5_000}, "url", "2,000"),
        ({"which": "some"}, "types", "at least one"),
        ({"which": "some", "type:agents.start_run.v1": "on"}, "types", "agents.start_run.v1"),
    ],
)
async def test_what_is_wrong_stands_at_the_field_and_nothing_is_made(
    sqlite_installation: Installation, form: dict[str, str], field: str, words: str
) -> None:
    state = await made(sqlite_installation, **form)
    assert (state.making, state.error_field) == ("form", field)
    assert words in state.error
    assert await sqlite_installation.backend.webhooks.all(sqlite_installation.ada) == []


async def test_a_webhook_is_changed_rotated_turned_off_and_deleted(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    webhook = (await made(house)).made
    state = await opened(house, WebhookState, f"/{webhook}")
    state.ask("edit")
    await WebhookState.save.fn(state, {"url": "https://10.0.0.1", "which": "all"})
    assert (state.asking, "not a public address" in state.error) == ("edit", True)
    state.choose("some")
    await WebhookState.save.fn(state, {"url": URL + "2", "which": "some", f"type:{FINISHED}": "on"})
    assert (state.asking, state.view["url"], state.view["chosen"]) == ("", URL + "2", [FINISHED])
    await WebhookState.turn.fn(state, False)
    assert (state.view["status"], state.busy) == ("Off", False)
    state.ask("rotate")
    await state.rotate({"keep": "168"})
    assert (state.asking, state.secret[:6]) == ("rotated", "whsec_")
    assert state.view["old_until_ms"] > 0
    state.close()
    assert state.secret == ""
    assert target(await state.delete()) == LIST
    await state.load()
    assert state.phase == "missing"
    actions = [entry.action for entry in await house.backend.audit.entries(house.ada, action="webhooks.")]
    assert actions == [f"webhooks.{what}" for what in ("deleted", "secret_rotated", "turned_off", "changed", "created")]


async def test_the_log_shows_what_the_address_asks_for_and_stays_live(sqlite_installation: Installation) -> None:
    house = sqlite_installation
    webhook = (await made(house)).made
    delivery = await delivery_of(house, webhook)
    state = await opened(house, DeliveriesState, f"/{webhook}?open={delivery}")
    [line] = state.lines
    assert (line["id"], line["status"], line["attempts"]) == (delivery, "Sending", 0)
    assert (state.body, state.attempts) == ('{\n  "a": 1\n}', [])
    assert target(state.choose("open", "")) == f"{LIST}/{webhook}"
    assert (await opened(house, DeliveriesState, f"/{webhook}?status=FAILED")).lines == []
    assert (await opened(house, DeliveriesState, f"/{webhook}?status=made-up")).status == ""
    watching = asyncio.create_task(DeliveriesState.watch.fn(state))
    try:
        await state.test()
        await until(lambda: len(state.lines) == 2, 20)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert (state.lines[0]["type"], state.shown) == ("webhooks.test.v1", state.lines[0]["id"])


@pytest.mark.parametrize("kind", [WebhooksState, WebhookState, DeliveriesState])
async def test_the_pages_need_the_permission(sqlite_installation: Installation, kind: type[Any]) -> None:
    """IDN-2."""
    colleague = (await others(sqlite_installation))[1]
    for cookie, error in ((colleague.cookie, Forbidden), ("", Unauthenticated)):
        state = await Tab(cookie, f"{LIST}/whs_00000000000000000000000000").state(kind)
        with pytest.raises(error):
            await kind.load.fn(state)
        with pytest.raises(error):
            await kind.watch.fn(state)


async def test_nobody_touches_another_tenants_webhook(sqlite_installation: Installation) -> None:
    """IDN-3: each verb says the same of it as of one that never was."""
    house = sqlite_installation
    webhook = (await made(house)).made
    delivery = await delivery_of(house, webhook)
    rooms, bob = house.backend.webhooks, house.bob
    asked = [
        lambda: rooms.one(bob, webhook),
        lambda: rooms.change(bob, webhook, url=URL, types=[]),
        lambda: rooms.turn(bob, webhook, on=False),
        lambda: rooms.rotate(bob, webhook, keep_hours=0),
        lambda: rooms.delete(bob, webhook),
        lambda: rooms.test(bob, webhook),
        lambda: rooms.delivery(bob, delivery),
        lambda: rooms.redeliver(bob, delivery),
        lambda: rooms.redeliver_failed(bob, webhook),
    ]
    for ask in asked:
        with pytest.raises(Exception, match="There is no webhook or delivery"):
            await ask()
    assert await rooms.deliveries(bob, webhook) == []
    assert (await rooms.one(house.ada, webhook)).enabled
