"""Tables of webhooks: who wants what, what is to be delivered, and each attempt. Times are milliseconds since 1970."""

from sqlalchemy import BigInteger, Column, Index, Text, UniqueConstraint, text
from sqlmodel import Field

from backend.foundation.kernel.tables import Json, TenantRow

_WAITING = text("status = 'WAITING'")


class SubscriptionRow(TenantRow, table=True):
    """Where events of some types (an empty list: of all) are sent; ``secret`` and ``old_secret`` are sealed.

    ``failing_since_ms`` and ``failures`` count from the last success; ``dropped`` are events that were not queued
    because too many waited; ``request`` stands for the idempotency key that made it. Of a deleted one the row stays
    until its deliveries are removed.
    """

    __tablename__ = "webhooks_subscription"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ix_webhooks_subscription_tenant", "tenant", "deleted_ms"),
        Index("ux_webhooks_subscription_request", "tenant", "request", unique=True),
    )

    id: str = Field(primary_key=True, max_length=40)
    url: str = Field(sa_type=Text)
    types: list[str] = Field(sa_column=Column(Json, nullable=False))
    enabled: bool = Field(default=True)
    reason: str = Field(default="", sa_type=Text)
    secret: str = Field(sa_type=Text)
    old_secret: str = Field(default="", sa_type=Text)
    old_until_ms: int = Field(default=0, sa_type=BigInteger)
    succeeded_ms: int = Field(default=0, sa_type=BigInteger)
    failing_since_ms: int = Field(default=0, sa_type=BigInteger)
    failures: int = Field(default=0)
    error: str = Field(default="", sa_type=Text)
    dropped: int = Field(default=0, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    deleted_ms: int = Field(default=0, sa_type=BigInteger)
    request: str | None = Field(default=None, max_length=80)


class DeliveryRow(TenantRow, table=True):
    """An event on its way to a subscription: ``WAITING``, ``DELIVERED`` or ``FAILED``.

    ``due_ms`` is when it is sent next, or, while ``owner`` sends it, when that one is given up; ``epoch`` counts the
    claims, so that who comes back late records nothing. ``step`` is where it stands in the schedule of retries.
    """

    __tablename__ = "webhooks_delivery"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("subscription", "event"),
        Index("ix_webhooks_delivery_due", "subscription", "due_ms", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_webhooks_delivery_log", "subscription", "id"),
        Index("ix_webhooks_delivery_status", "subscription", "status", "id"),
    )

    id: str = Field(primary_key=True, max_length=40)
    subscription: str = Field(max_length=40)
    event: str = Field(sa_type=Text)
    type: str = Field(max_length=120)
    body: str = Field(sa_type=Text)
    status: str = Field(max_length=12)
    attempts: int = Field(default=0)
    step: int = Field(default=0)
    due_ms: int = Field(sa_type=BigInteger)
    owner: str = Field(default="", max_length=80)
    epoch: int = Field(default=0)
    code: int = Field(default=0)
    duration_ms: int = Field(default=0)
    created_ms: int = Field(sa_type=BigInteger)
    ended_ms: int = Field(default=0, sa_type=BigInteger)


class AttemptRow(TenantRow, table=True):
    """One request that was made: the answer's status (0: none came), how long it took, and the start of its body."""

    __tablename__ = "webhooks_attempt"  # pyright: ignore[reportAssignmentType]

    delivery: str = Field(primary_key=True, max_length=40)
    number: int = Field(primary_key=True)
    at_ms: int = Field(sa_type=BigInteger)
    code: int
    duration_ms: int
    error: str = Field(sa_type=Text)
    answer: str = Field(sa_type=Text)
