"""Social channels: threads and posts, accounts, files that are fetched later, handoffs, and the fate of messages."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CONTENTS: Mapping[str, Sequence[str]] = {
    "inbound_media": (
        "source",
        "error",
    ),
    "messages": ("thread",),
    "pending_changes": ("text",),
    "posts": (
        "url",
        "text",
    ),
    "social_accounts": (
        "name",
        "url",
        "avatar_url",
    ),
}
"""Columns that nothing is looked up by: see revision 0003."""

TABLES = ("posts", "conversation_threads", "social_accounts", "inbound_media", "pending_changes", "handoffs")
"""In the order in which they can be made."""


def upgrade() -> None:
    _tables()
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    if op.get_bind().dialect.name == "postgresql":
        for table, names in CONTENTS.items():
            changes = ", ".join(f'ALTER COLUMN "{name}" SET STATISTICS 0' for name in names)
            op.execute(f"ALTER TABLE {table} {changes}")


def downgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
    for table in reversed(TABLES):
        op.drop_table(table)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _columns() -> dict[str, list[sa.Column[Any]]]:
    """By table. What has no default is empty in the rows that are there."""
    return {
        "messages": [
            sa.Column("thread", sa.String(), nullable=False, server_default=""),
            sa.Column("part_of", sa.Uuid(), nullable=True),
            sa.Column("answers", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        ],
        "deliveries": [
            sa.Column("after_id", sa.Uuid(), nullable=True),
            sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        ],
        "inboxes": [
            sa.Column("integration_replies_count", sa.Boolean(), nullable=False, server_default=sa.false()),
        ],
    }


def _tables() -> None:
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_posts_inbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
        sa.UniqueConstraint("inbox_id", "external_id", name="uq_posts_inbox_external"),
    )
    op.create_table(
        "conversation_threads",
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("thread", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["inbox_id"], ["inboxes.id"], name="fk_conversation_threads_inbox_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_threads_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_conversation_threads_post_id"),
        sa.PrimaryKeyConstraint("inbox_id", "handle", "thread", name="pk_conversation_threads"),
    )
    op.create_index("ix_conversation_threads_conversation", "conversation_threads", ["conversation_id"])
    op.create_index(
        "ix_conversation_threads_post", "conversation_threads", ["post_id"], **_where("post_id IS NOT NULL")
    )
    op.create_table(
        "social_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("avatar_url", sa.String(), nullable=False),
        sa.Column("avatar_hash", sa.BigInteger(), nullable=True),
        sa.Column("followers", sa.BigInteger(), nullable=True),
        sa.Column("verified", sa.String(), nullable=False),
        sa.Column("vendor_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inbox_id", sa.Uuid(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_social_accounts_inbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_social_accounts"),
        sa.UniqueConstraint("channel", "external_id", name="uq_social_accounts_channel_external"),
    )
    op.create_index("ix_social_accounts_handle", "social_accounts", ["channel", "handle"])
    op.create_index("ix_social_accounts_unchecked", "social_accounts", ["id"], **_where("checked_at IS NULL"))
    op.create_table(
        "inbound_media",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.Float(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_inbound_media_message_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_inbound_media_inbox_id"),
        sa.PrimaryKeyConstraint("id", name="pk_inbound_media"),
    )
    op.create_index("ix_inbound_media_due", "inbound_media", ["next_attempt_at"], **_where("state = 'waiting'"))
    op.create_index("ix_inbound_media_message", "inbound_media", ["message_id"])
    op.create_table(
        "pending_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inboxes.id"], name="fk_pending_changes_inbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_pending_changes"),
    )
    op.create_index("ix_pending_changes_message", "pending_changes", ["inbox_id", "external_id"])
    op.create_table(
        "handoffs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("by_inbox_id", sa.Uuid(), nullable=False),
        sa.Column("to_inbox_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_handoffs_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["by_inbox_id"], ["inboxes.id"], name="fk_handoffs_by_inbox_id"),
        sa.ForeignKeyConstraint(["to_inbox_id"], ["inboxes.id"], name="fk_handoffs_to_inbox_id"),
        sa.PrimaryKeyConstraint("id", name="pk_handoffs"),
        sa.UniqueConstraint("digest", name="uq_handoffs_digest"),
    )
    op.create_index("ix_handoffs_conversation", "handoffs", ["conversation_id"])
