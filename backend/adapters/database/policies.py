"""Row-level security: the second net under the session's own predicate, for migrations that make tables."""

from alembic import op

_CONDITION = "coalesce(current_setting('autoweave.tenant', true), '') IN ('', tenant)"


def confine(*tables: str) -> None:
    """Let a transaction with a tenant touch only that tenant's rows, whatever its statement forgot to ask.

    Call it in the migration that makes the tables. SQLite has no such thing: there the predicate stands alone.
    """
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # The policy holds for the table's owner too, which is who AutoWeave signs in as.
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_rows ON {table} USING ({_CONDITION}) WITH CHECK ({_CONDITION})")
