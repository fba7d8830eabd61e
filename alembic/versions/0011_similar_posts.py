"""Fingerprints of public texts, by which floods of the same one are found."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fingerprints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("band0", sa.Integer(), nullable=False),
        sa.Column("band1", sa.Integer(), nullable=False),
        sa.Column("band2", sa.Integer(), nullable=False),
        sa.Column("band3", sa.Integer(), nullable=False),
        sa.Column("head_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["messages.id"], name="fk_fingerprints_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_fingerprints"),
    )
    for band in range(4):
        op.create_index(f"ix_fingerprints_band{band}", "fingerprints", ["inbox_id", f"band{band}", "created_at"])


def downgrade() -> None:
    op.drop_table("fingerprints")
