"""What the ledger is asked, and what it answers; no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model import (
    Attempt,
    Capture,
    DeliveryStatus,
    EventStatus,
    Gate,
    KeptReport,
    Lane,
)
from bridge.store.deeds import Deed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; what is None asks nothing."""

    status: DeliveryStatus | None = None
    route: str | None = None
    #: Whole or beginning of a recipient, code, campaign, customer id, key or id.
    search: str | None = None
    #: Stored at or after this time.
    since: datetime | None = None
    #: Stored before this time.
    before: datetime | None = None
    limit: int = 50
    #: Only what was stored before the delivery with this id: the next page.
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; what is None asks nothing."""

    status: EventStatus | None = None
    #: Received at or after this time.
    since: datetime | None = None
    limit: int = 50
    #: Only what was received before the event with this id: the next page.
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One delivery as it stands."""

    id: str
    event_id: str
    route: str
    endpoint: str
    key: str
    recipient: str
    customer_id: str | None
    #: Codes handed over, joined by ", ".
    code: str
    campaign: str | None
    status: DeliveryStatus
    lane: Lane
    due_at: datetime | None
    #: Attempts since the count last began.
    attempts: int
    #: Attempts in all.
    number: int
    doubts: int
    aging_since: datetime
    voucher_expires_at: datetime | None
    scheduled_message_id: int | None
    reason: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One webhook as listed."""

    id: str
    transport_key: str | None
    received_at: datetime
    repeated_at: datetime | None
    repeats: int
    kind: str
    event_type: str | None
    door: str | None
    status: EventStatus
    reason: str | None
    #: Since when body, headers and payloads are no longer kept; None for a whole one.
    blanked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(EventRow):
    """One webhook with its bytes."""

    capture: Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is known of one delivery."""

    delivery: DeliveryRow
    event: StoredEvent
    #: From the first to the last.
    attempts: tuple[Attempt, ...]
    #: What Iterable reported of it, in the order it came.
    reports: tuple[KeptReport, ...] = ()
    #: What people did to it or its event, from the first to the last.
    deeds: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the queue does."""

    #: How long the oldest due delivery has been due; None when none is.
    oldest_due_age: timedelta | None
    #: Deliveries that wait to be sent.
    depth: int
    #: Counts of all but what ended well, which only grows and says nothing of health.
    by_status: Mapping[DeliveryStatus, int]
    #: Gates that are not open, and the destination's.
    gates: Mapping[str, Gate]
    #: Workers that said within seconds that they are there.
    workers: int
