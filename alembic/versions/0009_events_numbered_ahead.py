"""Events that have their positions from whoever wrote them, until the relay has handed them on."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "undistributed",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_undistributed"),
    )


def downgrade() -> None:
    op.drop_table("undistributed")
