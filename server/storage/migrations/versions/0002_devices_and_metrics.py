"""The registers of a fleet's devices and metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Two empty registers; the next run of a fleet fills them."""
    op.create_table(
        "device",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "fleet", "name"),
    )
    op.create_table(
        "metric",
        sa.Column("tenant", NAME, nullable=False),
        sa.Column("fleet", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "fleet", "name"),
    )


def downgrade() -> None:
    """Without the registers; telemetry and runs keep all that they were made from."""
    op.drop_table("metric")
    op.drop_table("device")
