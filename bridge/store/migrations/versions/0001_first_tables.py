"""The first tables."""

import sqlalchemy as sa
from alembic import op

from bridge.store.columns import Id, Utc, Words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TROUBLED = ("held", "dead", "suppressed", "dropped", "undelivered")


def upgrade() -> None:
    """Create everything."""
    _events()
    _deliveries()
    op.create_table(
        "keys",
        sa.Column("route", sa.String, nullable=False),
        sa.Column("key", Words, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("expires_at", Utc),
        sa.PrimaryKeyConstraint("route", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attempts",
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started_at", Utc, nullable=False),
        sa.Column("duration_us", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("code", Words),
        sa.Column("reason", Words, nullable=False),
        sa.Column("request_id", Words),
        sa.Column("payload", sa.LargeBinary),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
    )
    op.create_table(
        "gates",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False, server_default="open"),
        sa.Column("reason", Words),
        sa.Column("closed_at", Utc),
        sa.Column("probe_at", Utc),
        sa.Column("next_slot_at", Utc),
        sa.Column("paused_until", Utc),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", Id, primary_key=True),
        sa.Column("transport_key", Words, unique=True),
        sa.Column("is_hashed", sa.Boolean, nullable=False),
        sa.Column("received_at", Utc, nullable=False),
        sa.Column("repeated_at", Utc),
        sa.Column("repeats", sa.Integer, nullable=False, server_default="0"),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("event_type", Words),
        sa.Column("door", sa.String),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", Words),
        sa.Column("waits_for", Words),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    _partial("events_waits_for", "events", ["waits_for"], "waits_for IS NOT NULL")
    _partial("events_unused", "events", ["status", "id"], "status != 'stored'")


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", Id, primary_key=True),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("key", Words, nullable=False),
        sa.Column("recipient", Words, nullable=False),
        sa.Column("customer_id", Words),
        sa.Column("code", Words, nullable=False),
        sa.Column("campaign", Words),
        sa.Column("status", sa.String, nullable=False, server_default="pending"),
        sa.Column("lane", sa.String, nullable=False, server_default="fresh"),
        sa.Column("due_at", Utc),
        sa.Column("token", sa.String),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("doubts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("aging_since", Utc, nullable=False),
        sa.Column("voucher_expires_at", Utc),
        sa.Column("scheduled_message_id", sa.BigInteger),
        sa.Column("reason", Words),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
    )
    queue = ["status", "route", "lane", "due_at"]
    _partial("deliveries_queue", "deliveries", queue, "due_at IS NOT NULL")
    op.create_index("deliveries_event", "deliveries", ["event_id"])
    troubled = ", ".join(f"'{status}'" for status in TROUBLED)
    _partial(
        "deliveries_troubled",
        "deliveries",
        ["status", "id"],
        f"status IN ({troubled})",
    )


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        table,
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
