"""What alerts hold, and an index to count by route what has not ended well."""

import sqlalchemy as sa
from alembic import op

from bridge.store.columns import Utc, Words

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None

TROUBLED = "status IN ('held', 'dead', 'suppressed', 'dropped', 'undelivered')"


def upgrade() -> None:
    """Add a table and an index."""
    op.create_table(
        "alerts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("is_firing", sa.Boolean, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("since", Utc, nullable=False),
        sa.Column("summary", Words, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", Utc, nullable=False),
    )
    op.create_index(
        "deliveries_troubled_routes",
        "deliveries",
        ["status", "route", "updated_at"],
        sqlite_where=sa.text(TROUBLED),
        postgresql_where=sa.text(TROUBLED),
    )
