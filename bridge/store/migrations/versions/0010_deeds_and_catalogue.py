"""What was done by hand, bulk runs, and what deliveries are found by."""

import sqlalchemy as sa
from alembic import op

from bridge.store.columns import Id, Utc, Words

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the indexes."""
    op.create_table(
        "deeds",
        sa.Column("id", Id, primary_key=True),
        sa.Column("at", Utc, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", Id),
        sa.Column("gate", sa.String),
        sa.Column("status", sa.String),
        sa.Column("reason", Words),
    )
    _partial("deeds_subject", "deeds", ["subject", "id"], "subject IS NOT NULL")
    _partial("deeds_gate", "deeds", ["gate", "id"], "gate IS NOT NULL")
    op.create_table(
        "bulks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("filter", sa.JSON, nullable=False),
        sa.Column("reason", Words),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.Column("ended_at", Utc),
        sa.Column("cursor", Id),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("passed", sa.Integer, nullable=False, server_default="0"),
    )
    settled = ["status", "route", "id"]
    _partial("deliveries_settled", "deliveries", settled, "due_at IS NULL")
    op.create_table(
        "catalogue",
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("word", sa.LargeBinary, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("part", "word", "delivery_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "catalogue_parts",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", Id, nullable=False),
    )


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        table,
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
