"""Raw bodies are kept as they are: they are encrypted, and trying to compress them is work for nothing."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _store("EXTERNAL")


def downgrade() -> None:
    _store("EXTENDED")


def _store(how: str) -> None:
    """For rows that come from now on. SQLite compresses nothing."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE raw_items ALTER COLUMN body SET STORAGE {how}")
