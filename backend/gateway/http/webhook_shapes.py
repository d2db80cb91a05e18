"""The JSON of ``/v1/webhooks`` and ``/v1/deliveries``. Times are milliseconds since 1970, 0 for never."""

import msgspec

from backend.domain.webhooks.views import DeliveryDetail, DeliveryView, NewSecret, WebhookView


class WebhookRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Subscribe an address to event types; none means all, also those that later versions bring."""

    url: str
    types: list[str] = []


class WebhookChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change: the address, the event types, or both; what is left out stays."""

    url: str | None = None
    types: list[str] | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """For how many hours (0, 24 or 168) attempts are signed with the old secret, too."""

    keep_hours: int = 24


class Webhook(msgspec.Struct):
    """A subscription, without its secret: where it is sent to, whether it is on, if not why, and how it goes.

    `failures` counts attempts since the last success, `waiting` and `failed` deliveries, `dropped` events that were not
    queued because too many waited.
    """

    id: str
    url: str
    types: list[str]
    enabled: bool
    reason: str
    created_ms: int
    succeeded_ms: int
    failing_since_ms: int
    failures: int
    error: str
    waiting: int
    failed: int
    dropped: int
    old_secret_until_ms: int


class Webhooks(msgspec.Struct):
    """The newest first; `next` is what to send as `before` for those that follow, empty at the end."""

    webhooks: list[Webhook]
    next: str


class WebhookSecret(msgspec.Struct):
    """A subscription and its secret, which is told this once."""

    webhook: Webhook
    secret: str


class Delivery(msgspec.Struct):
    """An event for a subscription: WAITING, DELIVERED or FAILED; its id is the `webhook-id` of each attempt.

    `code` and `duration_ms` are those of the last attempt, 0 where nobody answered; `due_ms` is when it is tried next.
    """

    id: str
    type: str
    event: str
    status: str
    attempts: int
    code: int
    duration_ms: int
    due_ms: int
    sending: bool
    created_ms: int
    ended_ms: int


class Deliveries(msgspec.Struct):
    """The newest first; `next` is what to send as `before` for those that follow, empty at the end."""

    deliveries: list[Delivery]
    next: str


class Attempt(msgspec.Struct):
    """One request; `code` is 0 and `error` says why where nobody answered, `answer` is the start of what came back."""

    number: int
    at_ms: int
    code: int
    duration_ms: int
    error: str
    answer: str


class DeliveryLog(msgspec.Struct):
    """A delivery, what is sent, and its last 50 attempts, the newest first."""

    delivery: Delivery
    body: str
    attempts: list[Attempt]


class Sent(msgspec.Struct):
    """The delivery that is on its way."""

    delivery: str


class SentAgain(msgspec.Struct):
    """How many deliveries are on their way again."""

    count: int


def webhook_shape(view: WebhookView) -> Webhook:
    """Return a subscription as REST shows it."""
    return Webhook(
        id=view.id,
        url=view.url,
        types=list(view.types),
        enabled=view.enabled,
        reason=view.reason,
        created_ms=view.created_ms,
        succeeded_ms=view.succeeded_ms,
        failing_since_ms=view.failing_since_ms,
        failures=view.failures,
        error=view.error,
        waiting=view.waiting,
        failed=view.failed,
        dropped=view.dropped,
        old_secret_until_ms=view.old_until_ms,
    )


def secret_shape(new: NewSecret) -> WebhookSecret:
    """Return a new secret as REST shows it."""
    return WebhookSecret(webhook_shape(new.view), new.secret)


def delivery_shape(view: DeliveryView) -> Delivery:
    """Return a delivery as REST shows it."""
    return Delivery(**{name: getattr(view, name) for name in Delivery.__struct_fields__})


def log_shape(detail: DeliveryDetail) -> DeliveryLog:
    """Return a delivery with its attempts as REST shows it."""
    attempts = [Attempt(**{name: getattr(one, name) for name in Attempt.__struct_fields__}) for one in detail.attempts]
    return DeliveryLog(delivery_shape(detail.view), detail.body, attempts)
