"""What Iterable reports of its messages, and gates that wait for such news."""

import sqlalchemy as sa
from alembic import op

from bridge.store.columns import Id, Utc, Words

revision = "0004"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table, a column and indexes."""
    op.create_table(
        "reports",
        sa.Column("id", Id, primary_key=True),
        sa.Column("identity", Words, nullable=False, unique=True),
        sa.Column("received_at", Utc, nullable=False),
        sa.Column("occurred_at", Utc),
        sa.Column("event_name", sa.String, nullable=False),
        sa.Column("news", sa.String, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("message_id", Words),
        sa.Column("campaign_id", sa.BigInteger),
        sa.Column("person", sa.String),
        sa.Column("delivery_id", Id),
        sa.Column("matched_by", sa.String),
        sa.Column("became", sa.String),
    )
    is_matched = sa.text("delivery_id IS NOT NULL")
    is_unmatched = sa.text("delivery_id IS NULL")
    for name, column, condition in (
        ("reports_delivery", "delivery_id", is_matched),
        ("reports_person", "person", is_matched),
        ("reports_unmatched", "id", is_unmatched),
    ):
        op.create_index(
            name,
            "reports",
            [column],
            sqlite_where=condition,
            postgresql_where=condition,
        )
    op.create_index("reports_message", "reports", ["message_id"])
    op.create_index("deliveries_recipient", "deliveries", ["recipient"])
    is_unproven = sa.text("status = 'accepted'")
    op.create_index(
        "deliveries_unproven",
        "deliveries",
        ["id"],
        sqlite_where=is_unproven,
        postgresql_where=is_unproven,
    )
    if op.get_bind().dialect.name == "postgresql":
        # By the order of bytes, as SQLite has it: what begins alike stands together.
        op.execute('ALTER TABLE keys ALTER COLUMN key TYPE text COLLATE "C"')
    # Added as it is: SQLite would have to copy the table for a constraint on it.
    op.add_column(
        "gates",
        sa.Column(
            "awaits_proof", sa.Boolean, nullable=False, server_default=sa.false()
        ),
    )
