"""What search needs: rows of tokens, a full-text index over them, and how far it has come."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FIRST = 1 << 30
"""Where the numbers of rows begin: what is older than the first goes below."""

CONTENTS: Sequence[str] = ("title", "codes", "scope", "tokens")
"""Columns whose values nobody counts: see revision 0003."""

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Tokens come ready: whatever is not a blank belongs to one. Nothing is asked of places or lengths, so none are kept.
ON_SQLITE = (
    (
        "CREATE VIRTUAL TABLE search_fts USING fts5(scope, tokens, content='search_rows', content_rowid='n', "
        "tokenize=\"ascii tokenchars '!#$%&''*+-./:=?@_~'\", detail=none, columnsize=0)"
    ),
    (
        "CREATE TRIGGER search_rows_added AFTER INSERT ON search_rows BEGIN "
        "INSERT INTO search_fts (rowid, scope, tokens) VALUES (new.n, new.scope, new.tokens); END"
    ),
    (
        "CREATE TRIGGER search_rows_removed AFTER DELETE ON search_rows BEGIN "
        "INSERT INTO search_fts (search_fts, rowid, scope, tokens) "
        "VALUES ('delete', old.n, old.scope, old.tokens); END"
    ),
    (
        "CREATE TRIGGER search_rows_changed AFTER UPDATE OF scope, tokens ON search_rows BEGIN "
        "INSERT INTO search_fts (search_fts, rowid, scope, tokens) "
        "VALUES ('delete', old.n, old.scope, old.tokens); "
        "INSERT INTO search_fts (rowid, scope, tokens) VALUES (new.n, new.scope, new.tokens); END"
    ),
)

# The rows keep plain text, and the index makes of it what it needs: rows are what a search for a common word reads
# thousands of. Its words are the tokens, the scope and where the row is: see decision 0010. Without `fastupdate` no
# search has to read through a list of what is not in the index yet.
VECTOR = (
    "array_to_tsvector(string_to_array(tokens, ' ') || string_to_array(scope, ' ') || "
    "ARRAY['#' || to_hex(n >> 13), '##' || to_hex(n >> 17)])"
)
ON_POSTGRESQL = (
    "ALTER TABLE search_rows SET (toast_tuple_target = 128)",
    f"CREATE INDEX ix_search_rows_tokens ON search_rows USING gin (({VECTOR})) WITH (fastupdate = off)",
    "ALTER INDEX ix_search_rows_tokens ALTER COLUMN 1 SET STATISTICS 0",
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
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("tokens", sa.String(), nullable=False),
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
    # What is there already is walked through by a worker.
    op.execute(
        "INSERT INTO search_state (name, newest, oldest, rebuild) "  # noqa: S608 - a number of ours
        f"SELECT 'search', {FIRST}, {FIRST}, true "
        "WHERE EXISTS (SELECT 1 FROM messages) OR EXISTS (SELECT 1 FROM contacts)"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE search_fts")
    op.drop_table("search_rows")
    op.drop_table("search_state")
