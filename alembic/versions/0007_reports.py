"""What reports ask by: when messages were stored, when clocks began, when conversations changed their status."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATUS = sa.text("type = 'conversation.status_changed'")


def upgrade() -> None:
    op.create_index("ix_messages_created", "messages", ["created_at"], postgresql_using="brin")
    op.create_index("ix_sla_clocks_started", "sla_clocks", ["started_at"], postgresql_using="brin")
    op.create_index("ix_events_status", "events", ["occurred_at"], postgresql_where=STATUS, sqlite_where=STATUS)


def downgrade() -> None:
    op.drop_index("ix_events_status", "events")
    op.drop_index("ix_sla_clocks_started", "sla_clocks")
    op.drop_index("ix_messages_created", "messages")
