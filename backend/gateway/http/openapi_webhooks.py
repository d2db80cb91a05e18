"""The part of the OpenAPI document that tells of webhooks."""

from typing import Any

from backend.domain.webhooks.rules.signing import OFFERED
from backend.gateway.http import webhook_shapes as shapes
from backend.gateway.http.openapi_parts import content, json_answer, operation, parameter

STRUCTS = (
    shapes.WebhookRequest, shapes.WebhookChange, shapes.Rotation, shapes.Webhook, shapes.Webhooks, shapes.WebhookSecret,
    shapes.Deliveries, shapes.DeliveryLog, shapes.Sent, shapes.SentAgain,
)  # fmt: skip
_SAME = "The same key with the same body gives the same webhook; for a day and until it is rotated, the same secret."
_READ = "Needs `webhooks:read`."
_WRITE = "Needs `webhooks:read` and `webhooks:write`."
_WEBHOOK = "whs_01m804fn93faehc9a0bh2q5e67"
_DELIVERY = "whd_01m804fp3kd7xw2v9ynr5c8bhg"
_HOOK: dict[str, Any] = {
    "id": _WEBHOOK,
    "url": "https://example.org/hooks/autoweave",
    "types": ["flows.run_finished.v1"],
    "enabled": True,
    "reason": "",
    "created_ms": 1_795_301_037_000,
    "succeeded_ms": 0,
    "failing_since_ms": 0,
    "failures": 0,
    "error": "",
    "waiting": 0,
    "failed": 0,
    "dropped": 0,
    "old_secret_until_ms": 0,
}
_SECRET = {"webhook": _HOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
_SENT = {
    "id": _DELIVERY,
    "type": "flows.run_finished.v1",
    "event": "/flows evt_1",
    "status": "DELIVERED",
    "attempts": 1,
    "code": 204,
    "duration_ms": 41,
    "due_ms": 0,
    "sending": False,
    "created_ms": 1_795_301_040_000,
    "ended_ms": 1_795_301_040_050,
}
_ATTEMPT = {"number": 1, "at_ms": 1_795_301_040_009, "code": 204, "duration_ms": 41, "error": "", "answer": ""}


def webhook_paths() -> dict[str, Any]:
    """Return the endpoints of webhooks and deliveries."""
    return {**_subscriptions(), **_actions(), **_deliveries()}


def _subscriptions() -> dict[str, Any]:
    made = _answer("It is there.", "WebhookSecret", _SECRET, location=True)
    return {
        "/v1/webhooks": {
            "get": operation(
                "listWebhooks", "List the webhooks", _READ,
                {"200": _answer("A page.", "Webhooks", {"webhooks": [_HOOK], "next": ""})}, parameters=_PAGE,
            ),
            "post": operation(
                "createWebhook", "Subscribe an address",
                f"Each event of these types that is published after the answer is sent to it. The secret, which signs "
                f"them, is told this once. The types are {', '.join(f'`{name}`' for name in OFFERED)}. {_WRITE}",
                {"201": made}, parameters=[parameter("Idempotency-Key", "header", _SAME)],
                body=_body("WebhookRequest", {"url": _HOOK["url"], "types": _HOOK["types"]}),
            ),
        },
        "/v1/webhooks/{webhook}": {
            "get": operation("getWebhook", "Look at a webhook", _READ, {"200": _HOOK_ANSWER}, parameters=_OF),
            "patch": operation(
                "changeWebhook", "Change a webhook", f"What waits goes to the new address. {_WRITE}",
                {"200": _HOOK_ANSWER}, parameters=_OF, body=_body("WebhookChange", {"types": _HOOK["types"]}),
            ),
            "delete": operation(
                "deleteWebhook", "Delete a webhook", f"With its log; what waits is not sent. {_WRITE}",
                {"204": {"description": "It is gone."}}, parameters=_OF,
            ),
        },
    }  # fmt: skip


def _actions() -> dict[str, Any]:
    again = _answer("They are on their way.", "SentAgain", {"count": 3})
    return {
        "/v1/webhooks/{webhook}/enable": _action(
            "enableWebhook", "Turn a webhook on", "What waited is sent.", {"200": _HOOK_ANSWER}
        ),
        "/v1/webhooks/{webhook}/disable": _action(
            "disableWebhook", "Turn a webhook off", "Nothing is queued nor sent; what waits goes on waiting.",
            {"200": _HOOK_ANSWER},
        ),
        "/v1/webhooks/{webhook}/rotate-secret": _action(
            "rotateWebhookSecret", "Make a new secret",
            "It is told this once. For `keep_hours` (0, 24 or 168) attempts are signed with the old one, too.",
            {"200": _answer("The new secret.", "WebhookSecret", _SECRET)}, body=_body("Rotation", {"keep_hours": 24}),
        ),
        "/v1/webhooks/{webhook}/test": _action(
            "testWebhook", "Send a test event", "One of the type `webhooks.test.v1`, whatever the filter.",
            {"202": _ON_ITS_WAY},
        ),
        "/v1/webhooks/{webhook}/redeliver-failed": _action(
            "redeliverFailed", "Send again what was given up", "The oldest first.", {"202": again}
        ),
    }  # fmt: skip


def _deliveries() -> dict[str, Any]:
    status = parameter("status", "query", "Only those.", enum=["WAITING", "DELIVERED", "FAILED"])
    one = [parameter("delivery", "path", "Id of the delivery.")]
    log = {"delivery": _SENT, "body": '{"type": "flows.run_finished.v1"}', "attempts": [_ATTEMPT]}
    return {
        "/v1/webhooks/{webhook}/deliveries": {
            "get": operation(
                "listDeliveries", "List a webhook's deliveries", _READ,
                {"200": _answer("A page.", "Deliveries", {"deliveries": [_SENT], "next": _DELIVERY})},
                parameters=[*_OF, status, *_PAGE],
            )
        },
        "/v1/deliveries/{delivery}": {
            "get": operation(
                "getDelivery", "Look at a delivery", f"With what is sent and each attempt. {_READ}",
                {"200": _answer("The delivery.", "DeliveryLog", log)}, parameters=one,
            )
        },
        "/v1/deliveries/{delivery}/redeliver": {
            "post": operation(
                "redeliver", "Send a delivery again", f"Now, under the same `webhook-id`. {_WRITE}",
                {"202": _ON_ITS_WAY}, parameters=one,
            )
        },
    }  # fmt: skip


def _action(
    name: str, summary: str, description: str, responses: dict[str, Any], *, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"post": operation(name, summary, f"{description} {_WRITE}", responses, parameters=_OF, body=body)}


def _body(name: str, example: object) -> dict[str, Any]:
    body = content({"application/json": name})
    body["content"]["application/json"]["example"] = example
    return body


def _answer(description: str, name: str, example: object, *, location: bool = False) -> dict[str, Any]:
    answer = json_answer(description, name, headers={"Location": "Where it is found."} if location else None)
    answer["content"]["application/json"]["example"] = example
    return answer


_OF = [parameter("webhook", "path", "Id of the webhook.")]
_PAGE = [
    parameter("limit", "query", "Entries of a page, 1 to 100; 50 unless told."),
    parameter("before", "query", "The `next` of the page before; unless told the newest come."),
]
_HOOK_ANSWER = _answer("The webhook.", "Webhook", _HOOK)
_ON_ITS_WAY = _answer("It is on its way.", "Sent", {"delivery": _DELIVERY}, location=True)
