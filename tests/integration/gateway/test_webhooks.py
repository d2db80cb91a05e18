"""API-2, BUS-9: webhooks by REST, as programs make and look after them."""

import asyncio
import base64
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from backend.domain.webhooks.models import DeliveryRow, SubscriptionRow
from backend.domain.webhooks.repository import deliveries, subscriptions
from backend.foundation.kernel.ids import new_id
from backend.gateway.http.openapi import document
from tests.fixtures.door import BASE, Installation

pytestmark = pytest.mark.integration

URL = "https://example.org/hooks/autoweave"
FINISHED = "flows.run_finished.v1"
NONE = "whs_00000000000000000000000000"
NO_DELIVERY = "whd_00000000000000000000000000"


async def subscribed(house: Installation, count: int = 1) -> list[str]:
    """Subscribe for Ada without the verb, which would wait until all know of it; return the ids, the newest first."""
    made = [new_id("whs") for _ in range(count)]
    async with house.backend.database.write(house.ada.tenant) as session:
        for webhook in made:
            row = {"id": webhook, "tenant": house.ada.tenant, "url": URL, "types": [FINISHED], "secret": "sealed"}
            await subscriptions.add(session, row)
    return sorted(made, reverse=True)


async def queued(house: Installation, webhook: str, count: int = 1, *, status: str = "WAITING") -> list[str]:
    """Queue deliveries; return their ids, the newest first."""
    made = [new_id("whd") for _ in range(count)]
    async with house.backend.database.write(house.ada.tenant) as session:
        await deliveries.queue(
            session,
            [
                {
                    "id": one, "tenant": house.ada.tenant, "subscription": webhook, "event": f"/flows {one}",
                    "type": FINISHED, "body": '{"data":{}}',
                }
                for one in made
            ],
        )  # fmt: skip
        await session.execute(update(DeliveryRow).where(col(DeliveryRow.id).in_(made)).values(status=status))
    return sorted(made, reverse=True)


async def test_a_webhook_is_made_shown_changed_and_deleted(installation: Installation) -> None:
    async with installation.client(installation.ada_key) as client:
        made = await client.post("/v1/webhooks", json={"url": URL, "types": [FINISHED]})
        assert made.status_code == 201
        hook, secret = made.json()["webhook"], made.json()["secret"]
        path = f"/v1/webhooks/{hook['id']}"
        assert made.headers["location"] == path
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) >= 24
        assert (hook["url"], hook["types"], hook["enabled"]) == (URL, [FINISHED], True)

        shown = await client.get(path)
        assert (shown.status_code, shown.json()) == (200, hook)
        listed = await client.get("/v1/webhooks")
        assert listed.json() == {"webhooks": [hook], "next": ""}
        assert secret not in shown.text + listed.text

        changed = await client.patch(path, json={"url": f"{URL}/2"})
        assert (changed.json()["url"], changed.json()["types"]) == (f"{URL}/2", [FINISHED])
        changed = await client.patch(path, json={"types": []})
        assert (changed.json()["url"], changed.json()["types"]) == (f"{URL}/2", [])

        off, on = await client.post(f"{path}/disable"), await client.post(f"{path}/enable")
        assert (off.json()["enabled"], on.json()["enabled"]) == (False, True)

        gone = await client.delete(path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await client.get(path)).json()["code"] == "webhook_not_found"


async def test_a_new_secret_is_told_once_and_the_old_one_goes_on_for_as_long_as_asked(
    sqlite_installation: Installation,
) -> None:
    (webhook,) = await subscribed(sqlite_installation)
    path = f"/v1/webhooks/{webhook}"
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        kept = await client.post(f"{path}/rotate-secret", json={"keep_hours": 24})
        again = await client.post(f"{path}/rotate-secret", json={"keep_hours": 0})
        wrong = await client.post(f"{path}/rotate-secret", json={"keep_hours": 10**30})
        shown = await client.get(path)
    assert kept.json()["webhook"]["old_secret_until_ms"] > 0
    assert again.json()["webhook"]["old_secret_until_ms"] == 0
    assert kept.json()["secret"] != again.json()["secret"]
    assert again.json()["secret"] not in shown.text
    assert wrong.status_code == 422


async def test_lists_are_read_page_by_page(installation: Installation) -> None:
    webhooks = await subscribed(installation, 5)
    sent = await queued(installation, webhooks[0], 5)
    failed = await queued(installation, webhooks[0], 2, status="FAILED")
    async with installation.client(installation.ada_key) as client:

        async def all_of(path: str, name: str, **asked: str) -> list[list[str]]:
            pages: list[list[str]] = []
            following = ""
            while not pages or following:
                answer = await client.get(path, params={"limit": "2", "before": following, **asked})
                assert answer.status_code == 200
                pages.append([one["id"] for one in answer.json()[name]])
                following = answer.json()["next"]
            return pages

        log = f"/v1/webhooks/{webhooks[0]}/deliveries"
        assert await all_of("/v1/webhooks", "webhooks") == [webhooks[:2], webhooks[2:4], webhooks[4:]]
        pages = await all_of(log, "deliveries")
        assert [one for page in pages for one in page] == sorted(failed + sent, reverse=True)
        # A page that just holds the last promises none behind it.
        assert await all_of(log, "deliveries", status="FAILED") == [failed]


async def test_a_delivery_is_shown_and_sent_again(installation: Installation) -> None:
    (webhook,) = await subscribed(installation)
    (given_up,) = await queued(installation, webhook, status="FAILED")
    path = f"/v1/webhooks/{webhook}"
    async with installation.client(installation.ada_key) as client:
        shown = await client.get(f"/v1/deliveries/{given_up}")
        assert (shown.json()["delivery"]["status"], shown.json()["attempts"]) == ("FAILED", [])
        assert '"data"' in shown.json()["body"]

        again = await client.post(f"/v1/deliveries/{given_up}/redeliver")
        assert (again.status_code, again.json()) == (202, {"delivery": given_up})
        assert (await client.get(again.headers["location"])).json()["delivery"]["status"] == "WAITING"

        tested = await client.post(f"{path}/test")
        assert tested.status_code == 202
        made = (await client.get(tested.headers["location"])).json()["delivery"]
        assert (made["id"], made["type"]) == (tested.json()["delivery"], "webhooks.test.v1")

        await queued(installation, webhook, 3, status="FAILED")
        assert (await client.post(f"{path}/redeliver-failed")).json() == {"count": 3}

        await client.post(f"{path}/disable")
        for refused in (f"{path}/test", f"{path}/redeliver-failed", f"/v1/deliveries/{given_up}/redeliver"):
            answer = await client.post(refused)
            assert (answer.status_code, answer.json()["code"]) == (409, "webhook_is_off")


async def test_another_tenants_webhook_is_the_same_as_none(installation: Installation) -> None:
    """IDN-3."""
    (webhook,) = await subscribed(installation)
    (delivery,) = await queued(installation, webhook)
    hook, log = "/v1/webhooks/{}", "/v1/deliveries/{}"
    asked: list[tuple[str, str, Any]] = [
        ("GET", hook, None),
        ("PATCH", hook, {"url": URL}),
        ("DELETE", hook, None),
        ("POST", hook + "/enable", None),
        ("POST", hook + "/disable", None),
        ("POST", hook + "/rotate-secret", {}),
        ("POST", hook + "/test", None),
        ("POST", hook + "/redeliver-failed", None),
        ("GET", hook + "/deliveries", None),
        ("GET", log, None),
        ("POST", log + "/redeliver", None),
    ]

    def said(answer: httpx.Response, name: str) -> dict[str, Any]:
        return {**answer.json(), "trace_id": "", "detail": answer.json()["detail"].replace(name, "<id>")}

    async with installation.client(installation.bob_key) as bob:
        for method, path, body in asked:
            real, none = (delivery, NO_DELIVERY) if path.startswith(log) else (webhook, NONE)
            theirs = await bob.request(method, path.format(real), json=body)
            nobodys = await bob.request(method, path.format(none), json=body)
            assert theirs.status_code == 404
            assert said(theirs, real) == said(nobodys, none)
        assert (await bob.get("/v1/webhooks", params={"before": webhook})).json() == {"webhooks": [], "next": ""}
    async with installation.client(installation.ada_key) as ada:
        mine = (await ada.get(f"/v1/webhooks/{webhook}")).json()
        assert (mine["enabled"], mine["waiting"], mine["old_secret_until_ms"]) == (True, 1, 0)


async def test_each_endpoint_asks_for_its_permission_before_it_reads_the_body(
    sqlite_installation: Installation,
) -> None:
    """IDN-2: default deny; who may only read changes nothing, and who may only write is shown nothing."""
    (webhook,) = await subscribed(sqlite_installation)
    (delivery,) = await queued(sqlite_installation, webhook)
    ours = {
        path: methods
        for path, methods in document()["paths"].items()
        if path.startswith(("/v1/webhooks", "/v1/deliveries"))
    }
    assert len(ours) == 10
    allowed = {
        "webhooks:read": lambda method: method == "get",
        "webhooks:write": lambda method: False,
        "agents:read": lambda method: False,
    }
    for scope, may in allowed.items():
        made = await sqlite_installation.backend.identity.create_api_key(
            sqlite_installation.ada, name=scope, scopes=[scope], expires_days=1
        )
        async with sqlite_installation.client(made.secret) as client:
            for path, methods in ours.items():
                for method in methods:
                    where = path.format(webhook=webhook, delivery=delivery)
                    answer = await client.request(method.upper(), where, content=b"no json")
                    assert answer.status_code == (200 if may(method) else 403), (scope, method, path)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"url": "http://example.org/"}, "webhook_url_invalid", "url"),
        ({"url": "https://127.0.0.1/"}, "webhook_address_refused", "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "webhook_address_refused", "url"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "webhook_address_refused", "url"),
        ({"url": "https://example.org/\x00"}, "webhook_url_invalid", "url"),
        ({"url": "https://example.org/" + "x" * 5_000}, "webhook_url_invalid", "url"),
        ({"url": ""}, "webhook_url_invalid", "url"),
        ({"url": URL, "types": ["no.such.v1"]}, "webhook_type_not_offered", "types"),
        ({"url": URL, "types": ["\x00" * 5_000]}, "webhook_type_not_offered", "types"),
        ({"url": URL, "types": "all"}, "invalid", "$.types"),
        ({"url": URL, "secret": "mine"}, "invalid", "$"),
        ({"url": 7}, "invalid", "$.url"),
        ([], "invalid", "$"),
    ],
)
async def test_a_wrong_webhook_is_refused_by_name(
    sqlite_installation: Installation, body: Any, code: str, field: str
) -> None:
    (webhook,) = await subscribed(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        made = await client.post("/v1/webhooks", json=body)
        changed = await client.patch(f"/v1/webhooks/{webhook}", json=body)
        listed = (await client.get("/v1/webhooks")).json()["webhooks"]
    for answer in (made, changed):
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
        assert answer.headers["content-type"] == "application/problem+json"
    assert [(one["id"], one["url"]) for one in listed] == [(webhook, URL)]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"before": "x"}, "before"),
        ({"before": "whd_" + "z" * 5_000}, "before"),
        ({"status": "DROPPED"}, "status"),
    ],
)
async def test_a_wrong_page_is_refused_by_name(
    sqlite_installation: Installation, asked: dict[str, str], field: str
) -> None:
    (webhook,) = await subscribed(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.get(f"/v1/webhooks/{webhook}/deliveries", params=asked)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_what_changes_nothing_and_what_is_no_id_is_said_so(sqlite_installation: Installation) -> None:
    (webhook,) = await subscribed(sqlite_installation)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        nothing = await client.patch(f"/v1/webhooks/{webhook}", json={})
        assert (nothing.status_code, nothing.json()["detail"]) == (422, "There is nothing to change.")
        for name in ("x" * 5_000, "%00", webhook.upper(), "whs_%EF%BF%BD"):
            assert (await client.get(f"/v1/webhooks/{name}")).status_code == 404
            assert (await client.get(f"/v1/deliveries/{name}")).status_code == 404


async def test_another_sites_page_makes_no_webhook_by_a_visitors_session(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(cookie=sqlite_installation.ada_cookie) as client:
        foreign = await client.post(
            "/v1/webhooks",
            json={"url": URL},
            headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        )
        assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_page")
        own = await client.post("/v1/webhooks", json={"url": URL}, headers={"origin": BASE})
        assert own.status_code == 201


async def test_the_examples_of_the_document_are_what_the_endpoints_give(sqlite_installation: Installation) -> None:
    """API-2: an example with a field that is not there, or without one that is, would mislead."""
    (webhook,) = await subscribed(sqlite_installation)
    (delivery,) = await queued(sqlite_installation, webhook)
    paths = document()["paths"]
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        for path in (
            "/v1/webhooks",
            "/v1/webhooks/{webhook}",
            "/v1/webhooks/{webhook}/deliveries",
            "/v1/deliveries/{delivery}",
        ):
            answer = (await client.get(path.format(webhook=webhook, delivery=delivery))).json()
            example = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
            assert answer.keys() == example.keys()
            for name, value in example.items():
                if isinstance(value, list) and name in ("webhooks", "deliveries"):
                    assert answer[name][0].keys() == value[0].keys()
                if isinstance(value, dict):
                    assert answer[name].keys() == value.keys()


async def test_a_workspace_has_no_more_than_it_may(sqlite_installation: Installation) -> None:
    await subscribed(sqlite_installation, 50)
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post("/v1/webhooks", json={"url": URL})
        listed = await client.get("/v1/webhooks", params={"limit": "100"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
    assert (len(listed.json()["webhooks"]), listed.json()["next"]) == (50, "")


async def test_a_request_that_is_sent_again_makes_no_second_webhook(installation: Installation) -> None:
    """API-2: also when both come at once, and for its own caller alone."""
    asked: dict[str, Any] = {"json": {"url": URL, "types": [FINISHED]}, "headers": {"idempotency-key": "deploy-1"}}
    async with installation.client(installation.ada_key) as ada, installation.client(installation.bob_key) as bob:
        answers = await asyncio.gather(*[ada.post("/v1/webhooks", **asked) for _ in range(3)])
        assert [answer.status_code for answer in answers] == [201, 201, 201]
        made, secret = answers[0].json()["webhook"]["id"], answers[0].json()["secret"]
        assert {(one.json()["webhook"]["id"], one.json()["secret"]) for one in answers} == {(made, secret)}
        theirs = await bob.post("/v1/webhooks", **asked)
        assert theirs.json()["webhook"]["id"] != made
        assert len((await ada.get("/v1/webhooks")).json()["webhooks"]) == 1

        other = await ada.post("/v1/webhooks", json={"url": URL}, headers=asked["headers"])
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

        await ada.post(f"/v1/webhooks/{made}/rotate-secret", json={})
        late = await ada.post("/v1/webhooks", **asked)
        assert (late.status_code, late.json()["code"]) == (409, "webhook_made_already")
        assert made in late.json()["detail"]

        await ada.delete(f"/v1/webhooks/{made}")
        fresh = await ada.post("/v1/webhooks", **asked)
        assert fresh.status_code == 201
        assert fresh.json()["webhook"]["id"] != made


async def test_after_a_day_a_request_that_is_sent_again_is_not_told_the_secret(
    sqlite_installation: Installation,
) -> None:
    asked: dict[str, Any] = {"json": {"url": URL}, "headers": {"idempotency-key": "deploy-1"}}
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        made = (await client.post("/v1/webhooks", **asked)).json()["webhook"]
        async with sqlite_installation.backend.database.write(sqlite_installation.ada.tenant) as session:
            before = made["created_ms"] - 25 * 3_600_000
            await session.execute(update(SubscriptionRow).values(created_ms=before))
        late = await client.post("/v1/webhooks", **asked)
    assert (late.status_code, late.json()["code"]) == (409, "webhook_made_already")


async def test_a_key_that_is_too_long_is_refused(sqlite_installation: Installation) -> None:
    async with sqlite_installation.client(sqlite_installation.ada_key) as client:
        answer = await client.post("/v1/webhooks", json={"url": URL}, headers={"idempotency-key": "x" * 5_000})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
