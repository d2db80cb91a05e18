"""webhooks know the request that made them, so that the same one makes no second

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("webhooks_subscription", sa.Column("request", sa.String(length=80), nullable=True))
    op.create_index("ux_webhooks_subscription_request", "webhooks_subscription", ["tenant", "request"], unique=True)


def downgrade() -> None:
    op.drop_index("ux_webhooks_subscription_request", "webhooks_subscription")
    with op.batch_alter_table("webhooks_subscription") as table:
        table.drop_column("request")
