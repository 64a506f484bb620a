"""When a webhook's content was blanked, and whose turn a chore is."""

import sqlalchemy as sa
from alembic import op

from bridge.store.columns import Utc

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and a small table; older programs do without both."""
    op.add_column("events", sa.Column("blanked_at", Utc))
    op.create_table(
        "turns",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("until", Utc, nullable=False),
    )
