"""agents have signed cards, and may be archived

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from backend.adapters.database.policies import confine

revision = "0007"
down_revision = "0006"

TENANT_TABLES = ("directory_card",)


def upgrade() -> None:
    op.create_table(
        "directory_card",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agent"),
    )
    op.create_index("ix_directory_card_tenant", "directory_card", ["tenant", "agent", "sequence"])
    op.add_column("agents_agent", sa.Column("archived_ms", sa.BigInteger(), nullable=False, server_default="0"))
    confine(*TENANT_TABLES)


def downgrade() -> None:
    op.drop_table("directory_card")
    with op.batch_alter_table("agents_agent") as table:
        table.drop_column("archived_ms")
