"""the first tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from backend.foundation.kernel import tables

revision = "0001"
down_revision = None


TENANT_TABLES = (
    "agents_agent",
    "audit_entry",
    "bus_dead_letter",
    "bus_inbox",
    "bus_outbox",
    "chat_message",
    "chat_thread",
    "flows_attempt",
    "flows_run",
    "flows_snapshot",
    "flows_step",
    "flows_timer",
    "identity_api_key",
    "identity_session",
    "identity_user",
    "telemetry_span",
    "tools_code",
    "tools_tool",
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
    _agents()
    _audit()
    _bus()
    _chat()
    _flows()
    _identity()
    _telemetry()
    _tools()
    dialect = op.get_bind().dialect.name
    for statement in AUDIT_TRIGGERS[dialect]:
        op.execute(statement)
    if dialect == "postgresql":
        for table in TENANT_TABLES:
            _confine(table)


def _confine(table: str) -> None:
    """Let a transaction with a tenant touch only that tenant's rows, whatever its statement forgot to ask."""
    condition = "coalesce(current_setting('autoweave.tenant', true), '') IN ('', tenant)"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    # The policy holds for the table's owner too, which is who AutoWeave signs in as.
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant_rows ON {table} USING ({condition}) WITH CHECK ({condition})")


def _agents() -> None:
    op.create_table(
        "agents_agent",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("tools", tables.Json(), nullable=False),
        sa.Column("prompts", tables.Json(), nullable=False),
        sa.Column("limits", tables.Json(), nullable=False),
        sa.Column("snapshot", sa.String(length=40), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "slug"),
    )


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


def _chat() -> None:
    op.create_table(
        "chat_message",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("thread", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("trigger", sa.String(length=80), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("error_hint", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "role", "client_id"),
    )
    op.create_index("ix_chat_message_thread", "chat_message", ["thread", "created_ms", "id"], unique=False)
    op.create_table(
        "chat_thread",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("agent", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_chat_thread_mine", "chat_thread", ["tenant", "owner", "updated_ms"], unique=False)


def _flows() -> None:
    op.create_table(
        "flows_attempt",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run", "path", "attempt"),
    )
    op.create_table(
        "flows_run",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("snapshot", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.String(length=80), nullable=False),
        sa.Column("thread", sa.String(length=80), nullable=False),
        sa.Column("trigger", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("error_hint", sa.Text(), nullable=False),
        sa.Column("limits", tables.Json(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("tool_calls", sa.Integer(), nullable=False),
        sa.Column("traceparent", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=False),
        sa.Column("deadline_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("tenant", "agent", "trigger"),
    )
    op.create_index("ix_flows_run_lane", "flows_run", ["tenant", "lane", "seq"], unique=False)
    op.create_index(
        "ix_flows_run_open",
        "flows_run",
        ["status", "lease_until"],
        unique=False,
        sqlite_where=sa.text("status IN ('QUEUED', 'RUNNING', 'WAITING')"),
        postgresql_where=sa.text("status IN ('QUEUED', 'RUNNING', 'WAITING')"),
    )
    op.create_index(
        "ix_flows_run_owner",
        "flows_run",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("status IN ('QUEUED', 'RUNNING', 'WAITING')"),
        postgresql_where=sa.text("status IN ('QUEUED', 'RUNNING', 'WAITING')"),
    )
    op.create_index("ix_flows_run_trigger", "flows_run", ["trigger"], unique=False)
    op.create_table(
        "flows_snapshot",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("graph", tables.Json(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "agent", "number"),
    )
    op.create_table(
        "flows_step",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("effect_key", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("input", tables.Json(), nullable=True),
        sa.Column("output", tables.Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("reserved_tokens", sa.Integer(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run", "path"),
    )
    op.create_table(
        "flows_timer",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_flows_timer_due", "flows_timer", ["due_ms"], unique=False)
    op.create_index("ix_flows_timer_run", "flows_timer", ["run"], unique=False)


def _identity() -> None:
    op.create_table(
        "identity_api_key",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("start", sa.String(length=24), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", tables.Json(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_identity_api_key_person", "identity_api_key", ["tenant", "user", "id"], unique=False)
    op.create_table(
        "identity_attempt",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("times", tables.Json(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_index("ix_identity_attempt_last_ms", "identity_attempt", ["last_ms"], unique=False)
    op.create_table(
        "identity_session",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("client", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_identity_session_expires_ms", "identity_session", ["expires_ms"], unique=False)
    op.create_index("ix_identity_session_person", "identity_session", ["tenant", "user", "seen_ms"], unique=False)
    op.create_table(
        "identity_setup_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "identity_tenant",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "identity_user",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    op.create_index("ix_identity_user_role", "identity_user", ["role"], unique=False)


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


def _tools() -> None:
    op.create_table(
        "tools_code",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256"),
    )
    op.create_table(
        "tools_tool",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("call_name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("input_schema", tables.Json(), nullable=False),
        sa.Column("output_schema", tables.Json(), nullable=False),
        sa.Column("security", tables.Json(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("installed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "call_name"),
    )


def downgrade() -> None:
    for table in (
        "tools_tool",
        "tools_code",
        "telemetry_span",
        "telemetry_process",
        "identity_user",
        "identity_tenant",
        "identity_setup_token",
        "identity_session",
        "identity_attempt",
        "identity_api_key",
        "flows_timer",
        "flows_step",
        "flows_snapshot",
        "flows_run",
        "flows_attempt",
        "chat_thread",
        "chat_message",
        "bus_outbox",
        "bus_lease",
        "bus_inbox",
        "bus_dead_letter",
        "audit_entry",
        "agents_agent",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_entry_append_only()")
