"""Events and deliveries: about to be stored, stored, claimed, and as read back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.model.states import DeliveryStatus, EventStatus
from bridge.model.webhooks import Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerLimit:
    """How many messages one person may get on a route."""

    max: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One message on one route, about to be stored."""

    id: str
    route: str
    #: Names under which earlier keys may be kept: the route's own first.
    route_names: tuple[str, ...]
    #: Name of the configured destination.
    destination: str
    endpoint: str
    #: The business key; it finds the message in the event again.
    key: str
    #: Every key the delivery takes, the business key first, with its time to live.
    keys: tuple[tuple[str, timedelta], ...]
    recipient: str = field(repr=False)
    customer_id: str | None
    codes: tuple[str, ...] = field(repr=False)
    campaign: str | None
    #: When the first of its vouchers expires.
    expires_at: datetime | None = None
    #: Beyond this it is held; None for no limit.
    limit: CustomerLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """One webhook, decided, about to be stored."""

    id: str
    capture: Capture
    transport_key: str
    is_hashed: bool
    kind: str
    event_type: str | None
    #: `stored`, `parked` or `ignored`; the store may make it `duplicate`.
    status: EventStatus
    reason: str | None = None
    deliveries: tuple[NewDelivery, ...] = ()
    #: Parked because its group has more messages than it shows: the key whose arrival
    #: clears it, under the route's names.
    waits_for: str | None = None
    #: (route, key) pairs that, already taken, make a parked event a duplicate.
    already_covered_by: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """What the store made of a new event; the answer to the sender."""

    event_id: str
    status: EventStatus
    reason: str | None
    #: Deliveries made, or those that won the keys before.
    deliveries: tuple[str, ...]
    #: Those made that are held at once (`limit_per_customer`).
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's exclusive, expiring hold on one delivery."""

    delivery_id: str
    token: str
    route: str
    destination: str
    endpoint: str
    key: str
    recipient: str = field(repr=False)
    #: Number of the attempt this claim allows, from 1 over the delivery's whole life.
    attempt_no: int
    #: Attempts made since the count last began, this one not included.
    attempts: int
    #: Unknown outcomes since the count last began.
    unknown_outcomes: int
    #: Start of the age that `retry.max_age` limits.
    age_started_at: datetime
    expires_at: datetime | None
    event_id: str
    event_received_at: datetime
    event_repeats: int
    #: Body, source and endpoint; the headers stay in the store.
    capture: Capture
    #: The store's clock when the claim was made.
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubtDelivery:
    """A delivery whose last send has an unknown outcome."""

    delivery_id: str
    token: str
    route: str
    destination: str
    endpoint: str
    recipient: str = field(repr=False)
    unknown_outcomes: int
    attempt_no: int
    age_started_at: datetime
    #: When the send in doubt began.
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the ledger."""

    id: str
    event_id: str
    route: str
    destination: str
    endpoint: str
    key: str
    recipient: str = field(repr=False)
    customer_id: str | None
    #: All its codes, joined by ", ".
    code: str = field(repr=False)
    campaign: str | None
    status: DeliveryStatus
    #: `pending`: when to send; `sending`: end of the lease; `in_doubt`: next check.
    due_at: datetime | None
    #: Attempts since the count last began; over the whole life.
    attempts: int
    attempt_no: int
    unknown_outcomes: int
    age_started_at: datetime
    expires_at: datetime | None
    message_id: str | None
    reason: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One webhook as stored, without its body."""

    id: str
    transport_key: str | None
    received_at: datetime
    repeated_at: datetime | None
    repeats: int
    source: str
    kind: str
    event_type: str | None
    endpoint: str | None
    status: EventStatus
    reason: str | None
    #: Since when body, headers and payloads are no longer kept.
    redacted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One webhook as stored, with its body."""

    event: Event
    capture: Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries are wanted; the newest first."""

    status: DeliveryStatus | None = None
    route: str | None = None
    #: Customer, address, code, campaign prefix, business key or an id.
    search: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    limit: int = 50
    #: Id of the last row of the page before.
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; the newest first."""

    status: EventStatus | None = None
    since: datetime | None = None
    limit: int = 50
    after: str | None = None
