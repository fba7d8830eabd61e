"""What agents like of the console: their preferences and time zone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("zone", sa.String(), nullable=False, server_default=""))
    op.add_column("agents", sa.Column("preferences", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE agents ALTER COLUMN "preferences" SET STATISTICS 0')


def downgrade() -> None:
    op.drop_column("agents", "preferences")
    op.drop_column("agents", "zone")
