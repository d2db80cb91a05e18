"""runs of programs are listed by when they were last heard of

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_HEARD_OF = sa.text("coalesce(nullif(finished_ms, 0), nullif(started_ms, 0), created_ms)")
_LISTED = sa.text("source <> 'chat'")


def upgrade() -> None:
    op.create_index(
        "ix_flows_run_listed",
        "flows_run",
        ["tenant", "agent", _HEARD_OF, "id", "status"],
        sqlite_where=_LISTED,
        postgresql_where=_LISTED,
    )


def downgrade() -> None:
    op.drop_index("ix_flows_run_listed", "flows_run")
