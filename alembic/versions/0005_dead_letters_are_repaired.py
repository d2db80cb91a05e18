"""dead letters are replayed or discarded, and say by whom

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TABLE, _INDEX = "bus_dead_letter", "ix_bus_dead_letter_tenant_status"


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("status", sa.String(12), nullable=False, server_default="WAITING"))
    # Of one from before it is not known who gave it up: replayed, it goes to everybody, and their inboxes sort it out.
    op.add_column(_TABLE, sa.Column("direct", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(_TABLE, sa.Column("replays", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(_TABLE, sa.Column("decided_by", sa.String(80), nullable=False, server_default=""))
    op.add_column(_TABLE, sa.Column("decided_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(_TABLE, sa.Column("reason", sa.Text(), nullable=False, server_default=""))
    op.create_index(_INDEX, _TABLE, ["tenant", "status", "id"])


def downgrade() -> None:
    op.drop_index(_INDEX, _TABLE)
    with op.batch_alter_table(_TABLE) as table:
        for name in ("reason", "decided_ms", "decided_by", "replays", "direct", "status"):
            table.drop_column(name)
