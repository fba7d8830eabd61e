"""Live channels: visitors' sessions, what proves who they are, and how a visit goes."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

CONTENTS: Mapping[str, Sequence[str]] = {"visitor_codes": ("digest", "sealed"), "visitor_sessions": ("fields",)}
"""Columns that nothing is looked up by: see revision 0003."""

TABLES = ("visitor_sessions", "visitor_messages", "visitor_proofs", "visitor_codes", "visits")
"""In the order in which they can be made."""


def upgrade() -> None:
    _tables()
    op.add_column("inboxes", sa.Column("continued_by_id", sa.Uuid(), nullable=True))
    op.add_column("agents", sa.Column("live_capacity", sa.Integer(), nullable=True))
    shown = _where("type IN ('conversation.assigned', 'conversation.status_changed')")
    op.create_index("ix_events_shown", "events", ["conversation_id", "seq"], **shown)
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in CONTENTS.items():
            changes = ", ".join(f'ALTER COLUMN "{column}" SET STATISTICS 0' for column in columns)
            op.execute(f"ALTER TABLE {table} {changes}")


def downgrade() -> None:
    op.drop_index("ix_events_shown", "events")
    op.drop_column("agents", "live_capacity")
    op.drop_column("inboxes", "continued_by_id")
    for table in reversed(TABLES):
        op.drop_table(table)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _tables() -> None:
    op.create_table(
        "visitor_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("claimed_email", sa.String(), nullable=False),
        sa.Column("fields", JSON, nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_visitor_sessions_inbox_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_visitor_sessions_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_visitor_sessions"),
    )
    op.create_index("ix_visitor_sessions_contact_id", "visitor_sessions", ["contact_id"])
    op.create_index("ix_visitor_sessions_handle", "visitor_sessions", ["inbox_id", "handle"])
    live = _where("ended_at IS NULL")
    op.create_index("uq_visitor_sessions_digest", "visitor_sessions", ["digest"], unique=True, **live)
    op.create_table(
        "visitor_messages",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["visitor_sessions.id"], name="fk_visitor_messages_session_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_visitor_messages_message_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", "client_id", name="pk_visitor_messages"),
    )
    op.create_index("ix_visitor_messages_message_id", "visitor_messages", ["message_id"])
    op.create_table(
        "visitor_proofs",
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_visitor_proofs_inbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inbox_id", "digest", name="pk_visitor_proofs"),
    )
    op.create_index("ix_visitor_proofs_expires", "visitor_proofs", ["expires_at"])
    op.create_table(
        "visitor_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("send_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["visitor_sessions.id"], name="fk_visitor_codes_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_visitor_codes"),
    )
    op.create_index("ix_visitor_codes_due", "visitor_codes", ["created_at"], **_where("sent_at IS NULL"))
    op.create_index("ix_visitor_codes_email", "visitor_codes", ["email", "created_at"])
    op.create_index("ix_visitor_codes_session", "visitor_codes", ["session_id", "created_at"])
    op.create_table(
        "visits",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("feedback", sa.Boolean(), nullable=False),
        sa.Column("read_seq", sa.Integer(), nullable=False),
        sa.Column("online_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("typing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mail_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_seq", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("abandoned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed", sa.Boolean(), nullable=False),
        sa.Column("waited_seconds", sa.Integer(), nullable=False),
        sa.Column("responded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rating_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_visits_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_visits_contact_id"),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_visits_inbox_id"),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_visits"),
    )
    op.create_index("ix_visits_contact_id", "visits", ["contact_id"])
    op.create_index("ix_visits_created", "visits", ["created_at"])
    op.create_index("ix_visits_mail_due", "visits", ["mail_due_at"], **_where("mail_due_at IS NOT NULL"))
    op.create_index("ix_visits_online", "visits", ["online_until"], **_where("online_until IS NOT NULL"))
    op.create_index("ix_visits_queued", "visits", ["queued_at", "conversation_id"], **_where("queued_at IS NOT NULL"))
