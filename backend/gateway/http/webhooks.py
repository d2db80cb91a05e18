"""``/v1/webhooks`` and ``/v1/deliveries``: who gets which events, and what became of each (API-2, BUS-9)."""

from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from backend.app import current
from backend.domain.webhooks.service import Webhooks
from backend.foundation.kernel.caller import Caller, Permission
from backend.foundation.kernel.errors import Invalid
from backend.gateway.http.bodies import read_json
from backend.gateway.http.callers import caller_of
from backend.gateway.http.runs import idempotency_key, json_response
from backend.gateway.http.webhook_shapes import (
    Deliveries,
    Rotation,
    Sent,
    SentAgain,
    WebhookChange,
    WebhookRequest,
    delivery_shape,
    log_shape,
    secret_shape,
    webhook_shape,
)
from backend.gateway.http.webhook_shapes import Webhooks as Listed

T = TypeVar("T")

MOST_LISTED = 100
_USUAL = 50


async def list_all(request: Request) -> Response:
    """List the tenant's subscriptions, the newest first."""
    caller, limit = await caller_of(request), _limit(request)
    found = await _rooms().all(caller, before=_asked(request, "before"), limit=limit + 1)
    page, following = _page([webhook_shape(view) for view in found], [view.id for view in found], limit)
    return json_response(Listed(page, following))


async def create(request: Request) -> Response:
    """Subscribe an address; the secret is in this answer and in no other."""
    caller = await _writer(request)
    asked = await read_json(request, WebhookRequest)
    made = await _rooms().create(caller, url=asked.url, types=asked.types, idempotency_key=idempotency_key(request))
    response = json_response(secret_shape(made), HTTPStatus.CREATED)
    response.headers["location"] = f"/v1/webhooks/{made.view.id}"
    return response


async def get(request: Request) -> Response:
    """Return a subscription."""
    return await _shown(await caller_of(request), request)


async def change(request: Request) -> Response:
    """Change the address, the types, or both."""
    caller = await _writer(request)
    asked = await read_json(request, WebhookChange)
    if asked.url is None and asked.types is None:
        raise Invalid("There is nothing to change.", field="url")
    await _rooms().change(caller, _webhook(request), url=asked.url, types=asked.types)
    return await _shown(caller, request)


async def delete(request: Request) -> Response:
    """Delete a subscription with its log."""
    await _rooms().delete(await _writer(request), _webhook(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def enable(request: Request) -> Response:
    """Turn a subscription on."""
    return await _turn(request, on=True)


async def disable(request: Request) -> Response:
    """Turn a subscription off."""
    return await _turn(request, on=False)


async def rotate(request: Request) -> Response:
    """Make a new secret; it is in this answer and in no other."""
    caller = await _writer(request)
    asked = await read_json(request, Rotation)
    return json_response(secret_shape(await _rooms().rotate(caller, _webhook(request), keep_hours=asked.keep_hours)))


async def test(request: Request) -> Response:
    """Send a test event."""
    return _on_its_way(await _rooms().test(await _writer(request), _webhook(request)))


async def redeliver_failed(request: Request) -> Response:
    """Send all that were given up again."""
    count = await _rooms().redeliver_failed(await _writer(request), _webhook(request))
    return json_response(SentAgain(count), HTTPStatus.ACCEPTED)


async def deliveries(request: Request) -> Response:
    """List what was sent to a subscription or waits, the newest first."""
    caller, limit, webhook = await caller_of(request), _limit(request), _webhook(request)
    # The log of a webhook that is not there would be an empty one.
    await _rooms().one(caller, webhook)
    found = await _rooms().deliveries(
        caller, webhook, status=_asked(request, "status"), before=_asked(request, "before"), limit=limit + 1
    )
    page, following = _page([delivery_shape(view) for view in found], [view.id for view in found], limit)
    return json_response(Deliveries(page, following))


async def delivery(request: Request) -> Response:
    """Return a delivery with its body and attempts."""
    return json_response(log_shape(await _rooms().delivery(await caller_of(request), request.path_params["delivery"])))


async def redeliver(request: Request) -> Response:
    """Send a delivery again, under the same id."""
    caller, name = await _writer(request), request.path_params["delivery"]
    await _rooms().redeliver(caller, name)
    return _on_its_way(name)


def _rooms() -> Webhooks:
    return current().webhooks


async def _writer(request: Request) -> Caller:
    """Return who asks for a change, before his body is read."""
    caller = await caller_of(request)
    # Whoever may write but not read would be shown what he may not see.
    caller.require(Permission.WEBHOOKS_READ)
    caller.require(Permission.WEBHOOKS_WRITE)
    return caller


async def _turn(request: Request, *, on: bool) -> Response:
    caller = await _writer(request)
    await _rooms().turn(caller, _webhook(request), on=on)
    return await _shown(caller, request)


async def _shown(caller: Caller, request: Request) -> Response:
    return json_response(webhook_shape(await _rooms().one(caller, _webhook(request))))


def _on_its_way(name: str) -> Response:
    response = json_response(Sent(name), HTTPStatus.ACCEPTED)
    response.headers["location"] = f"/v1/deliveries/{name}"
    return response


def _webhook(request: Request) -> str:
    return request.path_params["webhook"]


def _asked(request: Request, name: str) -> str:
    return request.query_params.get(name, "")


def _limit(request: Request) -> int:
    text = _asked(request, "limit")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_LISTED)) else 0
    if text and not 1 <= number <= MOST_LISTED:
        raise Invalid(f"A page has 1 to {MOST_LISTED} entries.", field="limit")
    return number or _USUAL


def _page(shapes: list[T], ids: list[str], limit: int) -> tuple[list[T], str]:
    """Return a page of a list that was asked for one more than it holds, and where the next one begins."""
    return shapes[:limit], ids[limit - 1] if len(ids) > limit else ""
