"""What search needs: rows of tokens, a full-text index over them, and how far it has come."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FIRST = 1 << 30
"""Where the numbers of rows begin: what is older than the first goes below."""

CONTENTS: Sequence[str] = ("title", "codes", "tokens")
"""Columns whose values nobody counts: see revision 0003."""

TOKENS = sa.String().with_variant(TSVECTOR(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Tokens come ready: whatever is not a blank belongs to one. Nothing is asked of places or lengths, so none are kept.
ON_SQLITE = (
    (
        "CREATE VIRTUAL TABLE search_fts USING fts5(tokens, content='search_rows', content_rowid='n', "
        "tokenize=\"ascii tokenchars '!#$%&''*+-./:=?@_~'\", detail=none, columnsize=0)"
    ),
    (
        "CREATE TRIGGER search_rows_added AFTER INSERT ON search_rows BEGIN "
        "INSERT INTO search_fts (rowid, tokens) VALUES (new.n, new.tokens); END"
    ),
    (
        "CREATE TRIGGER search_rows_removed AFTER DELETE ON search_rows BEGIN "
        "INSERT INTO search_fts (search_fts, rowid, tokens) VALUES ('delete', old.n, old.tokens); END"
    ),
    (
        "CREATE TRIGGER search_rows_changed AFTER UPDATE OF tokens ON search_rows BEGIN "
        "INSERT INTO search_fts (search_fts, rowid, tokens) VALUES ('delete', old.n, old.tokens); "
        "INSERT INTO search_fts (rowid, tokens) VALUES (new.n, new.tokens); END"
    ),
)

# Long tokens lie apart from their rows: sorting the newest of many matches reads rows, and never tokens. Without
# `fastupdate` no search has to read through a list of what is not in the index yet.
ON_POSTGRESQL = (
    "ALTER TABLE search_rows SET (toast_tuple_target = 128)",
    "CREATE INDEX ix_search_rows_tokens ON search_rows USING gin (tokens) WITH (fastupdate = off)",
    *(f"ALTER TABLE search_rows ALTER COLUMN {column} SET STATISTICS 0" for column in CONTENTS),
)


def upgrade() -> None:
    op.create_table(
        "search_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("rebuild", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_search_state"),
    )
    op.create_table(
        "search_rows",
        sa.Column("n", NUMBER, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("codes", sa.String(), nullable=False),
        sa.Column("tokens", TOKENS, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_search_rows_message_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_search_rows_conversation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_search_rows_contact_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("n", name="pk_search_rows"),
    )
    op.create_index("uq_search_rows_message", "search_rows", ["message_id"], unique=True)
    op.create_index("uq_search_rows_contact", "search_rows", ["contact_id"], unique=True)
    op.create_index("ix_search_rows_conversation_id", "search_rows", ["conversation_id"])
    alone = sa.text("message_id IS NULL AND conversation_id IS NOT NULL")
    op.create_index(
        "uq_search_rows_conversation",
        "search_rows",
        ["conversation_id"],
        unique=True,
        postgresql_where=alone,
        sqlite_where=alone,
    )
    for statement in ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else ON_SQLITE:
        op.execute(statement)
    # What is there already is walked through by a worker; events tell of what comes from here on.
    op.execute(
        "INSERT INTO search_state (name, newest, oldest, rebuild) "  # noqa: S608 - a number of ours
        f"SELECT 'search', {FIRST}, {FIRST}, true "
        "WHERE EXISTS (SELECT 1 FROM messages) OR EXISTS (SELECT 1 FROM contacts)"
    )
    op.execute("INSERT INTO followers SELECT 'search', max(position) FROM events HAVING max(position) > 0")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE search_fts")
    op.drop_table("search_rows")
    op.drop_table("search_state")
    op.execute("DELETE FROM followers WHERE name = 'search'")
