"""No statistics of what nothing is looked up by: PostgreSQL sorted samples of it whenever a table grew a little."""

from collections.abc import Mapping, Sequence

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CONTENTS: Mapping[str, Sequence[str]] = {
    "api_tokens": ("scopes",),
    "audit": ("data",),
    "blobs": ("data_key",),
    "contacts": ("key", "custom_fields"),
    "contact_identities": ("display",),
    "conversations": ("preview", "custom_fields"),
    "deliveries": (
        *("token", "to", "cc", "bcc", "sender", "recipients"),
        *("accepted", "refused", "body", "data_key", "error"),
    ),
    "events": ("data",),
    "idempotency_keys": ("response",),
    "inbox_states": ("cursor",),
    "inboxes": ("config", "secrets", "key"),
    "messages": (
        *("author_name", "subject", "text", "html", "new_text", "signature", "quoted", "to", "cc", "reply_to"),
        *("external_url", "in_reply_to", "content_digest", "trust_reasons", "notes"),
    ),
    "participants": ("name",),
    "raw_items": ("body", "data_key", "hints", "error"),
}


def upgrade() -> None:
    _target(0)


def downgrade() -> None:
    _target(-1)


def _target(values: int) -> None:
    """How many values are kept of each; -1 is the server's default. SQLite has statistics of indexes only."""
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in CONTENTS.items():
            changes = ", ".join(f'ALTER COLUMN "{column}" SET STATISTICS {values}' for column in columns)
            op.execute(f"ALTER TABLE {table} {changes}")
