"""Tables of the bus: outbox, inbox, dead letters and the leases of relays."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Text, false, text
from sqlmodel import Field, SQLModel

from backend.foundation.kernel.tables import Json, TenantRow

_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
_UNSENT = text("sent_ms IS NULL")
_SENT = text("sent_ms IS NOT NULL")


class OutboxRow(TenantRow, table=True):
    """An event that was committed with the change it tells of; ``sent_ms`` once the broker has it."""

    __tablename__ = "bus_outbox"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ix_bus_outbox_unsent", "id", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
        Index("ix_bus_outbox_sent", "sent_ms", sqlite_where=_SENT, postgresql_where=_SENT),
    )

    id: int | None = Field(default=None, sa_column=Column(_SEQUENCE, primary_key=True, autoincrement=True))
    # Without the index of its kind: nobody asks for a tenant's, and each write would pay for it.
    tenant: str = Field(sa_type=String(40), nullable=False)
    slot: int
    topic: str = Field(max_length=120)
    key: str = Field(sa_type=Text)
    headers: dict[str, str] = Field(sa_column=Column(Json, nullable=False))
    value: str = Field(sa_type=Text)
    created_ms: int = Field(sa_type=BigInteger)
    sent_ms: int | None = Field(default=None, sa_type=BigInteger)


class InboxRow(SQLModel, table=True):
    """An event that a consumer has done. ``event`` is its source and id, which together name it (CloudEvents)."""

    __tablename__ = "bus_inbox"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_bus_inbox_seen", "seen_ms"), {"sqlite_with_rowid": False})

    consumer: str = Field(primary_key=True, max_length=80)
    tenant: str = Field(primary_key=True, max_length=40)
    event: str = Field(sa_column=Column(Text, primary_key=True))
    seen_ms: int = Field(sa_type=BigInteger)


class DeadLetterRow(TenantRow, table=True):
    """An event that a consumer gave up, with why, where it stood, and all that is needed to send it again.

    ``status`` is ``WAITING``, ``REPLAYED`` or ``DISCARDED``; ``direct`` tells that the consumer read it from the bus,
    so that a replay is for that consumer alone. One that fails again after a replay waits again in the same row.
    """

    __tablename__ = "bus_dead_letter"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ix_bus_dead_letter_tenant_id", "tenant", "id"),
        Index("ix_bus_dead_letter_tenant_status", "tenant", "status", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(_SEQUENCE, primary_key=True, autoincrement=True))
    tenant: str = Field(sa_type=String(40), nullable=False)
    consumer: str = Field(max_length=80)
    event: str = Field(sa_type=Text)
    type: str = Field(max_length=120)
    topic: str = Field(max_length=120)
    partition: int
    offset: str = Field(max_length=64)
    key: str = Field(sa_type=Text)
    headers: dict[str, str] = Field(sa_column=Column(Json, nullable=False))
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    cause: str = Field(sa_type=Text)
    stack: str = Field(sa_type=Text)
    attempts: int
    created_ms: int = Field(sa_type=BigInteger)
    status: str = Field(default="WAITING", max_length=12, sa_column_kwargs={"server_default": "WAITING"})
    direct: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    replays: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    decided_by: str = Field(default="", max_length=80, sa_column_kwargs={"server_default": ""})
    decided_ms: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    reason: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})


class SpecRow(SQLModel, table=True):
    """A document of the installation's events as it was last told: its text is JSON, ``digest`` the SHA-256 of that.

    ``sequence`` grows with each change, so that of all who see one at once only the first writes it.
    """

    __tablename__ = "bus_spec"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True, max_length=80)
    sequence: int
    digest: str = Field(max_length=64)
    document: str = Field(sa_type=Text)


class LeaseRow(SQLModel, table=True):
    """Who relays a shard. ``epoch`` fences: what an earlier owner still writes is refused."""

    __tablename__ = "bus_lease"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True, max_length=80)
    owner: str = Field(default="", max_length=80)
    epoch: int = Field(default=0)
    until_ms: int = Field(default=0, sa_type=BigInteger)
