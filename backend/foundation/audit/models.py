"""The table of the audit log, and the triggers that keep it append-only on both databases."""

from typing import Any

from sqlalchemy import DDL, BigInteger, Index, String, event
from sqlmodel import Field, SQLModel

from backend.foundation.kernel.tables import Json, TenantRow

APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "sqlite": (
        """
        CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END
        """,
        """
        CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE OR REPLACE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'audit_entry is append-only'; END $$
        """,
        """
        CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION audit_entry_append_only()
        """,
        """
        CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_append_only()
        """,
    ),
}
"""By dialect, the statements that refuse any change of a row, as the migration that makes the table has them too."""


class AuditEntry(TenantRow, table=True):
    """One privileged action: who did what to which thing, and when (milliseconds, the database's clock)."""

    __tablename__ = "audit_entry"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ix_audit_entry_newest", "tenant", "id"),
        Index("ix_audit_entry_actor", "tenant", "actor", "id"),
        Index("ix_audit_entry_action", "tenant", "action", "id"),
        Index("ix_audit_entry_target", "tenant", "target", "id"),
    )

    id: str = Field(sa_type=String(40), primary_key=True)
    at_ms: int = Field(sa_type=BigInteger)
    actor: str = Field(sa_type=String(80))
    actor_kind: str = Field(sa_type=String(12))
    action: str = Field(sa_type=String(80))
    target: str = Field(sa_type=String(120))
    detail: dict[str, Any] = Field(sa_type=Json)


def _guard_created_tables() -> None:
    table = SQLModel.metadata.tables["audit_entry"]
    for dialect, statements in APPEND_ONLY.items():
        for statement in statements:
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=dialect))


_guard_created_tables()
