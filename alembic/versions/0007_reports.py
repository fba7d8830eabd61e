"""What reports ask by: when messages were stored, clocks began and broke, conversations changed their status."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BROKEN = sa.text("detected_at IS NOT NULL")
STATUS = sa.text("type = 'conversation.status_changed'")


def upgrade() -> None:
    op.create_index("ix_messages_created", "messages", ["created_at"], postgresql_using="brin")
    op.create_index("ix_sla_clocks_started", "sla_clocks", ["started_at"], postgresql_using="brin")
    op.create_index(
        "ix_sla_clocks_detected", "sla_clocks", ["detected_at"], postgresql_where=BROKEN, sqlite_where=BROKEN
    )
    op.create_index("ix_events_status", "events", ["occurred_at"], postgresql_where=STATUS, sqlite_where=STATUS)


def downgrade() -> None:
    op.drop_index("ix_events_status", "events")
    op.drop_index("ix_sla_clocks_detected", "sla_clocks")
    op.drop_index("ix_sla_clocks_started", "sla_clocks")
    op.drop_index("ix_messages_created", "messages")
