"""What is read of webhooks. Times are milliseconds since 1970, 0 for never."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A subscription, without its secret.

    Attributes:
        types: the event types that it wants; none means all.
        reason: why it was turned off, empty when a person did it.
        old_until_ms: until when the secret before the last rotation signs, too.
        failures: attempts that failed since the last success; ``error`` is why the last one did.
        waiting, failed: deliveries that are still tried, and that were given up.
        dropped: events that were not queued because too many waited.
    """

    id: str
    url: str
    types: tuple[str, ...]
    enabled: bool
    reason: str
    old_until_ms: int
    created_ms: int
    succeeded_ms: int
    failing_since_ms: int
    failures: int
    error: str
    dropped: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A subscription and its new secret ``whsec_…``, which is told this once."""

    view: WebhookView
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """An event on its way, or delivered; its id is the ``webhook-id`` of each attempt.

    Attributes:
        event: the source and id of the event.
        status: ``WAITING``, ``DELIVERED`` or ``FAILED``.
        code, duration_ms: of the last attempt; 0 when there was none, or no answer.
        due_ms: when it is tried next, while it waits.
        sending: whether that is being done.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One request; ``code`` is 0 and ``error`` says why when nobody answered."""

    number: int
    at_ms: int
    code: int
    duration_ms: int
    error: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail:
    """A delivery with what is sent, on indented lines, and each attempt, the newest first."""

    view: DeliveryView
    body: str
    attempts: tuple[AttemptView, ...]
