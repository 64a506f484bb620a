"""One reward on one route: about to be stored, stored, and claimed by a worker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.rewards import Capture
from bridge.model.states import EventStatus


class Lane(StrEnum):
    """Which queue a waiting delivery stands in; each has slots of its own."""

    FRESH = "fresh"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many rewards one person may be told of on a route."""

    count: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One reward on one route, about to be stored."""

    id: str
    route: str
    #: Names under which earlier keys may stand: the route's own first.
    route_names: tuple[str, ...]
    endpoint: str
    #: The business key; it finds the reward in the event again.
    key: str
    #: Every key the delivery takes, with how long each is kept.
    keys: tuple[tuple[str, timedelta], ...]
    recipient: str
    customer_id: str | None
    codes: tuple[str, ...]
    campaign: str | None
    #: When the first of its vouchers expires.
    voucher_expires_at: datetime | None = None
    #: Beyond this it is held; None for no limit.
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
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
    #: Parked because its publication has more vouchers than it shows: the key whose
    #: arrival clears it, under the route's names.
    waits_for: str | None = None
    #: (route, key) pairs that, already taken, make a parked event a duplicate.
    covered_by: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store made of an arrival; the answer to the sender."""

    event_id: str
    status: EventStatus
    reason: str | None
    #: Deliveries made, or those that won the keys before.
    deliveries: tuple[str, ...]
    #: Those made that are held at once: their person has had enough (`per_customer`).
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's exclusive, expiring hold on one delivery."""

    delivery_id: str
    token: str
    route: str
    endpoint: str
    key: str
    #: Number of the attempt this claim allows, from 1 over the delivery's whole life.
    number: int
    #: Attempts made since the count last began, this one not included.
    attempts: int
    #: Unknown outcomes since the count last began.
    doubts: int
    #: Start of the age that `retry.max_age` limits; moved on by closed gates.
    aging_since: datetime
    voucher_expires_at: datetime | None
    event_id: str
    event_received_at: datetime
    event_repeats: int
    #: Body and door; the headers stay in the store.
    capture: Capture
    #: The store's clock when the claim was made.
    claimed_at: datetime
