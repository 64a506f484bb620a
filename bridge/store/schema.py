"""The tables of the ledger with their indexes; no statement is run here."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    false,
    text,
)
from sqlalchemy.sql.elements import TextClause

from bridge.store.types import SafeText, UtcDateTime, UuidStr

#: Newest migration this program knows (`migrations/versions`).
#:
#: A later migration that older programs cannot work with names the least number they
#: must know: `0007-needs-0005`. Without such an ending any older program runs on it.
REVISION = "0001"

#: Most values in one `IN`: databases bound them, and compiled statements grow.
MAX_IN_VALUES = 500

metadata = MetaData()


def _partial_index(
    name: str, *columns: Column[object], where: ColumnElement[bool] | TextClause
) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


# No foreign keys: rows are deleted by retention alone, an event with all that belongs
# to it, and each would cost a look-up on the path of every webhook.

events = Table(
    "events",
    metadata,
    Column("id", UuidStr, primary_key=True),
    #: Null once a hashed key has outlived its 25 hours.
    Column("transport_key", SafeText, unique=True),
    Column("is_hashed", Boolean, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("repeated_at", UtcDateTime),
    Column("repeats", Integer, nullable=False, server_default="0"),
    #: Name of the configured source.
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("event_type", SafeText),
    Column("endpoint", String),
    Column("status", String, nullable=False),
    Column("reason", SafeText),
    Column("waits_for", SafeText),
    Column("headers", JSON, nullable=False),
    # Behind these, so that reading the columns above does not walk the body's pages.
    Column("body", LargeBinary, nullable=False),
    #: Since when body, headers and payloads are no longer kept.
    Column("redacted_at", UtcDateTime),
)
_partial_index(
    "events_waits_for", events.c.waits_for, where=events.c.waits_for.is_not(None)
)
#: What made no delivery. Written out, as SQLite uses a partial index only where a query
#: repeats its condition literally.
IS_UNUSED = text("status != 'stored'")
_partial_index("events_unused", events.c.status, events.c.id, where=IS_UNUSED)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", UuidStr, primary_key=True),
    Column("event_id", UuidStr, nullable=False),
    Column("route", String, nullable=False),
    #: Name of the configured destination.
    Column("destination", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("key", SafeText, nullable=False),
    Column("recipient", SafeText, nullable=False),
    Column("customer_id", SafeText),
    #: All its codes, joined by ", ".
    Column("code", SafeText, nullable=False),
    Column("campaign", SafeText),
    Column("status", String, nullable=False, server_default="pending"),
    #: `pending`: when to send; `sending`: end of the lease; `in_doubt`: next check;
    #: null for every delivery that no longer moves by itself.
    Column("due_at", UtcDateTime),
    Column("token", String),
    #: Attempts since the count last began; over the whole life.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempt_no", Integer, nullable=False, server_default="0"),
    Column("unknown_outcomes", Integer, nullable=False, server_default="0"),
    Column("age_started_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("message_id", SafeText),
    Column("reason", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
#: The queue. A claim seeks one place in it for each route that may send, so deliveries
#: behind open circuit breakers are never walked over. `attempts` is there to tell fresh
#: deliveries from retries without a look at the row.
_partial_index(
    "deliveries_queue",
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.due_at,
    deliveries.c.attempts,
    where=deliveries.c.due_at.is_not(None),
)
Index("deliveries_event", deliveries.c.event_id)
# What people search by, and what receipts without an id of ours are matched by.
Index("deliveries_recipient", deliveries.c.recipient)
Index("deliveries_customer", deliveries.c.customer_id)
Index("deliveries_code", deliveries.c.code)
Index("deliveries_key", deliveries.c.key)
Index("deliveries_campaign", deliveries.c.campaign)
#: What a destination has accepted and no receipt has confirmed. Ids ascend, so the
#: index grows at its end.
IS_UNCONFIRMED = text("status = 'accepted'")
_partial_index("deliveries_unconfirmed", deliveries.c.id, where=IS_UNCONFIRMED)

#: States in which a delivery moves by itself: these have a `due_at`.
ACTIVE = ("pending", "sending", "in_doubt")
IS_ACTIVE = deliveries.c.due_at.is_not(None)
#: States that need or needed a person's attention.
FAILED = ("held", "dead", "suppressed", "dropped", "undelivered")
IS_FAILED = text(f"status IN ({', '.join(map(repr, FAILED))})")
#: Lists them, and counts the recent ones by route without a look at a row. A delivery
#: that goes well is never in it.
_partial_index(
    "deliveries_failed",
    deliveries.c.status,
    deliveries.c.id,
    deliveries.c.route,
    deliveries.c.updated_at,
    where=IS_FAILED,
)
#: What no longer moves by itself. It is appended to at each route's end, and so cheap.
IS_SETTLED = deliveries.c.due_at.is_(None)
_partial_index(
    "deliveries_settled",
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.id,
    where=IS_SETTLED,
)

#: The second and later codes of a delivery that has several; the first is found in
#: `deliveries.code`, as what that begins with.
delivery_codes = Table(
    "delivery_codes",
    metadata,
    Column("code", SafeText, nullable=False),
    Column("delivery_id", UuidStr, nullable=False),
    PrimaryKeyConstraint("code", "delivery_id"),
    sqlite_with_rowid=False,
)
Index("delivery_codes_delivery", delivery_codes.c.delivery_id)

keys = Table(
    "keys",
    metadata,
    Column("route", String, nullable=False),
    Column("key", SafeText, nullable=False),
    Column("delivery_id", UuidStr, nullable=False),
    #: Null for never.
    Column("expires_at", UtcDateTime),
    PrimaryKeyConstraint("route", "key"),
    # The row is little more than its key: one tree instead of two.
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", UuidStr, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Integer),
    Column("code", SafeText),
    Column("reason", SafeText, nullable=False),
    Column("request_id", SafeText),
    Column("payload", LargeBinary),
    PrimaryKeyConstraint("delivery_id", "number"),
)
#: Joins a delivery to its last attempt.
LAST_ATTEMPT = and_(
    attempts.c.delivery_id == deliveries.c.id,
    attempts.c.number == deliveries.c.attempt_no,
)

circuits = Table(
    "circuits",
    metadata,
    #: `destination:<name>` or `route:<name>`.
    Column("name", String, primary_key=True),
    Column("state", String, nullable=False, server_default="closed"),
    Column("reason", SafeText),
    Column("opened_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("probe_at", UtcDateTime),
    Column("next_slot_at", UtcDateTime),
    Column("paused_until", UtcDateTime),
    Column("needs_receipt", Boolean, nullable=False, server_default=false()),
    Column("trial_level", Integer, nullable=False, server_default="0"),
)

#: Which process does what only one at a time may do; heartbeats of workers.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

#: Which alerts hold, and what was sent about them.
alerts = Table(
    "alerts",
    metadata,
    Column("name", String, primary_key=True),
    Column("is_firing", Boolean, nullable=False),
    #: What was last sent: that it holds, or that it no longer does.
    Column("was_firing", Boolean, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("summary", SafeText, nullable=False),
    #: Failed tries to send it.
    Column("tries", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
)

#: What destinations reported of their messages.
receipts = Table(
    "receipts",
    metadata,
    Column("id", UuidStr, primary_key=True),
    #: Message id and event, or a hash of the whole: senders repeat themselves.
    Column("identity", SafeText, nullable=False, unique=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("occurred_at", UtcDateTime),
    Column("destination", String, nullable=False),
    Column("event_name", SafeText, nullable=False),
    Column("type", String, nullable=False),
    Column("reason", SafeText),
    Column("message_id", SafeText),
    Column("campaign_id", BigInteger),
    #: Digest of the e-mail address: it recognises a person and does not name one.
    Column("person", String),
    #: Null for one that fits no delivery.
    Column("delivery_id", UuidStr),
    Column("matched_by", String),
    #: What the delivery became by it.
    Column("result", String),
)
for _column in (receipts.c.delivery_id, receipts.c.person):
    _partial_index(
        f"receipts_{_column.name}", _column, where=receipts.c.delivery_id.is_not(None)
    )
_partial_index(
    "receipts_unmatched", receipts.c.id, where=receipts.c.delivery_id.is_(None)
)
Index("receipts_message", receipts.c.message_id)

#: What people did.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", UuidStr, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("action", String, nullable=False),
    #: The delivery or event; null for an action on a circuit breaker.
    Column("target_id", UuidStr),
    Column("circuit", String),
    #: The status before.
    Column("status", String),
    Column("reason", SafeText),
)
for _column in (audit_log.c.target_id, audit_log.c.circuit):
    _partial_index(
        f"audit_log_{_column.name}",
        _column,
        audit_log.c.id,
        where=_column.is_not(None),
    )

#: What is done to many deliveries, batch by batch, by a delivering process.
jobs = Table(
    "jobs",
    metadata,
    Column("id", UuidStr, primary_key=True),
    Column("action", String, nullable=False),
    #: Which deliveries, as JSON.
    Column("filter", JSON, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("reason", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    #: Everything newer is done.
    Column("cursor", UuidStr),
    Column("planned", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    #: Looked at and left alone: their status had changed.
    Column("skipped", Integer, nullable=False, server_default="0"),
)

#: Sessions of the console, and the key that signs its cookies (`console_sessions`).
console_sessions = Table(
    "console_sessions",
    metadata,
    #: SHA-256 of the session's token.
    Column("id", String, primary_key=True),
    #: Of the password in use when it began.
    Column("fingerprint", String, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
)
