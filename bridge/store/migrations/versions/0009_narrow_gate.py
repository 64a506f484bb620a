"""The destination's gate may be narrow: one delivery at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column."""
    op.add_column(
        "gates", sa.Column("narrow", sa.Integer, nullable=False, server_default="0")
    )
