"""The tables of telemetry: finished spans, and the processes that are alive."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, String, false, text
from sqlmodel import Field, SQLModel

from backend.foundation.kernel.tables import Json, TenantRow


class TelemetrySpan(TenantRow, table=True):
    """A finished span. ``id`` grows about with time, so that the oldest are found without a sort."""

    __tablename__ = "telemetry_span"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar[Any] = (
        Index("ux_telemetry_span_trace", "tenant", "trace_id", "span_id", unique=True),
        Index(
            "ix_telemetry_span_entry",
            "tenant",
            "start_us",
            sqlite_where=text("entry"),
            postgresql_where=text("entry"),
        ),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    )
    # Not `TenantRow`'s own index: both of this table's begin with the tenant, and each index costs every write.
    tenant: str = Field(sa_type=String(40))
    trace_id: str = Field(sa_type=String(32))
    span_id: str = Field(sa_type=String(16))
    parent: str = Field(sa_type=String(16))
    entry: bool = Field(sa_column_kwargs={"server_default": false()})
    name: str = Field(sa_type=String(120))
    service: str = Field(sa_type=String(40))
    kind: str = Field(sa_type=String(12))
    start_us: int = Field(sa_type=BigInteger)
    duration_us: int = Field(sa_type=BigInteger)
    status: str = Field(sa_type=String(12))
    attributes: dict[str, Any] = Field(sa_type=Json)


class TelemetryProcess(SQLModel, table=True):
    """A process of this installation and its last heartbeat, milliseconds by the database's clock; it serves all
    tenants and belongs to none."""

    __tablename__ = "telemetry_process"  # pyright: ignore[reportAssignmentType]

    id: str = Field(sa_type=String(40), primary_key=True)
    service: str = Field(sa_type=String(40))
    roles: list[str] = Field(sa_type=Json)
    host: str = Field(sa_type=String(120))
    pid: int = Field(sa_type=BigInteger)
    started_ms: int = Field(sa_type=BigInteger)
    seen_ms: int = Field(sa_type=BigInteger, index=True)
    figures: dict[str, float] = Field(sa_type=Json)
    samples: dict[str, Any] = Field(sa_type=Json)
