"""events, audit and traces

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from backend.adapters.database.policies import confine
from backend.foundation.kernel import tables

revision = "0001"
down_revision = None

TENANT_TABLES = (
    "audit_entry",
    "bus_dead_letter",
    "bus_inbox",
    "bus_outbox",
    "telemetry_span",
)
AUDIT_TRIGGERS = {
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
        CREATE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
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


def upgrade() -> None:
    _audit()
    _bus()
    _telemetry()
    for statement in AUDIT_TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
    confine(*TENANT_TABLES)


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("actor_kind", sa.String(length=12), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("target", sa.String(length=120), nullable=False),
        sa.Column("detail", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_entry_action", "audit_entry", ["tenant", "action", "id"], unique=False)
    op.create_index("ix_audit_entry_actor", "audit_entry", ["tenant", "actor", "id"], unique=False)
    op.create_index("ix_audit_entry_newest", "audit_entry", ["tenant", "id"], unique=False)
    op.create_index("ix_audit_entry_target", "audit_entry", ["tenant", "target", "id"], unique=False)


def _bus() -> None:
    op.create_table(
        "bus_dead_letter",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=120), nullable=False),
        sa.Column("topic", sa.String(length=120), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("headers", tables.Json(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("stack", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bus_dead_letter_tenant_id", "bus_dead_letter", ["tenant", "id"], unique=False)
    op.create_table(
        "bus_inbox",
        sa.Column("consumer", sa.String(length=80), nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "tenant", "event"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_bus_inbox_seen", "bus_inbox", ["seen_ms"], unique=False)
    op.create_table(
        "bus_lease",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "bus_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(length=120), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("headers", tables.Json(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_bus_outbox_sent",
        "bus_outbox",
        ["sent_ms"],
        unique=False,
        sqlite_where=sa.text("sent_ms IS NOT NULL"),
        postgresql_where=sa.text("sent_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_bus_outbox_unsent",
        "bus_outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("sent_ms IS NULL"),
        postgresql_where=sa.text("sent_ms IS NULL"),
    )


def _telemetry() -> None:
    op.create_table(
        "telemetry_process",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("roles", tables.Json(), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("figures", tables.Json(), nullable=False),
        sa.Column("samples", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_telemetry_process_seen_ms", "telemetry_process", ["seen_ms"], unique=False)
    op.create_table(
        "telemetry_span",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("span_id", sa.String(length=16), nullable=False),
        sa.Column("parent", sa.String(length=16), nullable=False),
        sa.Column("entry", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("attributes", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_telemetry_span_entry",
        "telemetry_span",
        ["tenant", "start_us"],
        unique=False,
        sqlite_where=sa.text("entry"),
        postgresql_where=sa.text("entry"),
    )
    op.create_index("ux_telemetry_span_trace", "telemetry_span", ["tenant", "trace_id", "span_id"], unique=True)


def downgrade() -> None:
    for table in (
        "telemetry_span",
        "telemetry_process",
        "bus_outbox",
        "bus_lease",
        "bus_inbox",
        "bus_dead_letter",
        "audit_entry",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_entry_append_only()")
