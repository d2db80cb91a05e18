"""timers know how long they were set for

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # A timer from before has no known wait: so long a one is never taken for one that lies too far ahead.
    unknown = sa.text(str(2**53))
    op.add_column("flows_timer", sa.Column("wait_ms", sa.BigInteger(), nullable=False, server_default=unknown))


def downgrade() -> None:
    with op.batch_alter_table("flows_timer") as table:
        table.drop_column("wait_ms")
