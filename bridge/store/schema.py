"""The tables with their indexes; no statement is run here."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    false,
    text,
)

from bridge.store.columns import Id, Utc, Words

#: Newest migration this program knows (`migrations/versions`).
#:
#: A later migration that older programs cannot live with names the least number they
#: must know: `0007-needs-0005`. Without such an ending any older program runs on it.
REVISION = "0010"

#: Most values in one look-up: databases bound them, and compiled statements grow.
CHUNK = 500

metadata = MetaData()

# No foreign keys: nothing is deleted but by retention, which takes whole stories, and
# each would cost a look-up on the path of every webhook.

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    #: Null once a hashed key has outlived its 25 hours.
    Column("transport_key", Words, unique=True),
    Column("is_hashed", Boolean, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("repeated_at", Utc),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("kind", String, nullable=False),
    Column("event_type", Words),
    Column("door", String),
    Column("status", String, nullable=False),
    Column("reason", Words),
    Column("waits_for", Words),
    Column("headers", JSON, nullable=False),
    # Behind these, so that reading the columns above does not walk the body's pages.
    Column("body", LargeBinary, nullable=False),
    #: Since when body, headers and payloads are no longer kept; null for a whole one,
    #: and a null at the end of a row costs its writer nothing.
    Column("blanked_at", Utc),
)
Index(
    "events_waits_for",
    events.c.waits_for,
    sqlite_where=events.c.waits_for.is_not(None),
    postgresql_where=events.c.waits_for.is_not(None),
)
#: What made no delivery. Written out, as SQLite uses a partial index only where a query
#: repeats its condition literally.
IS_UNUSED = text("status != 'stored'")
#: An ordinary webhook does not pay for listing those.
Index(
    "events_unused",
    events.c.status,
    events.c.id,
    sqlite_where=IS_UNUSED,
    postgresql_where=IS_UNUSED,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, nullable=False),
    Column("route", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("key", Words, nullable=False),
    Column("recipient", Words, nullable=False),
    Column("customer_id", Words),
    Column("code", Words, nullable=False),
    Column("campaign", Words),
    Column("status", String, nullable=False, server_default="pending"),
    Column("lane", String, nullable=False, server_default="fresh"),
    #: `pending`: when to send; `sending`: end of the lease; `in_doubt`: next check;
    #: null for everything that no longer moves by itself.
    Column("due_at", Utc),
    Column("token", String),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("number", Integer, nullable=False, server_default="0"),
    Column("doubts", Integer, nullable=False, server_default="0"),
    Column("aging_since", Utc, nullable=False),
    Column("voucher_expires_at", Utc),
    Column("scheduled_message_id", BigInteger),
    Column("reason", Words),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)
#: The queue. A claim seeks one place in it for each route that may send, so what waits
#: at closed gates is never walked over.
Index(
    "deliveries_queue",
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.lane,
    deliveries.c.due_at,
    sqlite_where=deliveries.c.due_at.is_not(None),
    postgresql_where=deliveries.c.due_at.is_not(None),
)
Index("deliveries_event", deliveries.c.event_id)
#: Finds a person's deliveries, for reports that carry no id of ours.
Index("deliveries_recipient", deliveries.c.recipient)
#: What Iterable has taken and not reported on. Ids ascend, so it grows at its end.
IS_UNPROVEN = text("status = 'accepted'")
Index(
    "deliveries_unproven",
    deliveries.c.id,
    sqlite_where=IS_UNPROVEN,
    postgresql_where=IS_UNPROVEN,
)

#: States in which a delivery moves by itself: these have a `due_at`.
MOVING = ("pending", "sending", "in_doubt")
#: States that need or needed somebody's attention.
TROUBLED = ("held", "dead", "suppressed", "dropped", "undelivered")
IS_TROUBLED = text(f"status IN ({', '.join(map(repr, TROUBLED))})")
#: A delivery that goes well is never in it, so it costs the ordinary path nothing.
Index(
    "deliveries_troubled",
    deliveries.c.status,
    deliveries.c.id,
    sqlite_where=IS_TROUBLED,
    postgresql_where=IS_TROUBLED,
)

#: To count them, and those of late, without a look at a row.
Index(
    "deliveries_troubled_routes",
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.updated_at,
    sqlite_where=IS_TROUBLED,
    postgresql_where=IS_TROUBLED,
)

#: What no longer moves by itself. It is appended to at each route's end, and so cheap.
IS_SETTLED = deliveries.c.due_at.is_(None)
Index(
    "deliveries_settled",
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.id,
    sqlite_where=IS_SETTLED,
    postgresql_where=IS_SETTLED,
)

#: Words by which deliveries are searched, in parts of so many deliveries each. Indexes
#: on the columns themselves would touch a page at a random place for every word of
#: every delivery; here one part's pages are written once, in order.
catalogue = Table(
    "catalogue",
    metadata,
    Column("part", Integer, nullable=False),
    #: UTF-8, whose order is the same in every database.
    Column("word", LargeBinary, nullable=False),
    Column("delivery_id", Id, nullable=False),
    PrimaryKeyConstraint("part", "word", "delivery_id"),
    sqlite_with_rowid=False,
)
catalogue_parts = Table(
    "catalogue_parts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    #: The newest delivery in it; the next part begins behind.
    Column("last", Id, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("route", String, nullable=False),
    Column("key", Words, nullable=False),
    Column("delivery_id", Id, nullable=False),
    #: Null for never.
    Column("expires_at", Utc),
    PrimaryKeyConstraint("route", "key"),
    # The row is little more than its key: one tree instead of two.
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Integer),
    Column("code", Words),
    Column("reason", Words, nullable=False),
    Column("request_id", Words),
    Column("payload", LargeBinary),
    PrimaryKeyConstraint("delivery_id", "number"),
)

gates = Table(
    "gates",
    metadata,
    Column("name", String, primary_key=True),
    Column("state", String, nullable=False, server_default="open"),
    Column("reason", Words),
    Column("closed_at", Utc),
    Column("probe_at", Utc),
    Column("next_slot_at", Utc),
    Column("paused_until", Utc),
    #: True where only a report of a message sent may open it.
    Column("awaits_proof", Boolean, nullable=False, server_default=false()),
    #: 0, or how many lone sends in a row had no known outcome, plus one.
    Column("narrow", Integer, nullable=False, server_default="0"),
)

#: Whose turn it is to do what one process at a time shall do.
turns = Table(
    "turns",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", Utc, nullable=False),
)

#: What alerts hold, and what was said of them (`alarms`).
alerts = Table(
    "alerts",
    metadata,
    Column("name", String, primary_key=True),
    Column("is_firing", Boolean, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("since", Utc, nullable=False),
    Column("summary", Words, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Utc, nullable=False),
)

#: What Iterable reported of its messages.
reports = Table(
    "reports",
    metadata,
    Column("id", Id, primary_key=True),
    #: Message id and event, or a hash of the whole: Iterable repeats itself.
    Column("identity", Words, nullable=False, unique=True),
    Column("received_at", Utc, nullable=False),
    Column("occurred_at", Utc),
    Column("event_name", String, nullable=False),
    Column("news", String, nullable=False),
    Column("reason", String),
    Column("message_id", Words),
    Column("campaign_id", BigInteger),
    #: Digest of the e-mail address, by which it is recognised and not known.
    Column("person", String),
    #: Null for one that fits no delivery.
    Column("delivery_id", Id),
    Column("matched_by", String),
    Column("became", String),
)
for _name, _column, _is_matched in (
    ("reports_delivery", reports.c.delivery_id, True),
    ("reports_person", reports.c.person, True),
    ("reports_unmatched", reports.c.id, False),
):
    _condition = reports.c.delivery_id.is_not(None)
    _condition = _condition if _is_matched else reports.c.delivery_id.is_(None)
    Index(_name, _column, sqlite_where=_condition, postgresql_where=_condition)
Index("reports_message", reports.c.message_id)

#: What people did by hand.
deeds = Table(
    "deeds",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("by", String, nullable=False),
    Column("action", String, nullable=False),
    #: The delivery or event, null for what was done to a gate.
    Column("subject", Id),
    Column("gate", String),
    #: Where it stood before.
    Column("status", String),
    Column("reason", Words),
)
for _column in (deeds.c.subject, deeds.c.gate):
    Index(
        f"deeds_{_column.name}",
        _column,
        deeds.c.id,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

#: What is done to many deliveries, batch by batch.
bulks = Table(
    "bulks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("action", String, nullable=False),
    Column("filter", JSON, nullable=False),
    Column("reason", Words),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("ended_at", Utc),
    #: Everything newer is done with.
    Column("cursor", Id),
    Column("planned", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    #: Looked at and left alone: their state had changed.
    Column("passed", Integer, nullable=False, server_default="0"),
)
