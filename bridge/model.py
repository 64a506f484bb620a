"""The nouns of the bridge, frozen, and the table of a delivery's states."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NewType

from bridge.errors import TransitionError

SourceId = NewType("SourceId", str)
UserId = NewType("UserId", str)

#: A value as JSON has it. `Any`, because it enters here and is parsed at once.
Json = Any

#: `email/target` and its siblings: the path below `/api/` an attempt posts to.
ENDPOINTS = (
    "email/target",
    "sms/target",
    "push/target",
    "inApp/target",
    "webPush/target",
    "whatsApp/target",
)


class EventStatus(StrEnum):
    """What became of one webhook."""

    STORED = "stored"  #: made at least one delivery
    PARKED = "parked"  #: cannot be used as it is; the reason says why
    IGNORED = "ignored"  #: no route wants it
    DUPLICATE = "duplicate"  #: tells only what an earlier event told


class DeliveryStatus(StrEnum):
    """Where one delivery stands."""

    PENDING = "pending"  #: waits for its time, its gate and a slot
    SENDING = "sending"  #: claimed by a worker under a lease
    IN_DOUBT = "in_doubt"  #: sent perhaps; the outcome is unknown
    HELD = "held"  #: waits for a person
    ACCEPTED = "accepted"  #: Iterable took it
    CONFIRMED = "confirmed"  #: Iterable says it handed the message over
    UNDELIVERED = "undelivered"  #: Iterable says it did not
    DEAD = "dead"  #: given up for good
    SUPPRESSED = "suppressed"  #: must not be sent (a forgotten user)
    DROPPED = "dropped"  #: closed by hand, unsent


class Cause(StrEnum):
    """Why a delivery changes its state."""

    CLAIMED = "claimed"
    ANSWERED_OK = "answered_ok"
    ANSWERED_LATE = "answered_late"  #: taken by Iterable; the lease had run out
    NOT_PROCESSED = "not_processed"
    UNSENT = "unsent"  #: given back by its worker, untouched
    OUTCOME_UNKNOWN = "outcome_unknown"
    LEASE_EXPIRED = "lease_expired"
    GIVEN_UP = "given_up"
    MUST_NOT_SEND = "must_not_send"
    GATE_CLOSED = "gate_closed"
    UNUSABLE = "unusable"  #: render error, recipient rule, route gone, own campaign
    CHECK_FOUND = "check_found"
    CHECK_NOT_FOUND = "check_not_found"
    CHECK_UNDECIDABLE = "check_undecidable"
    CHECK_FAILED = "check_failed"
    POLICY_RESEND = "policy_resend"
    POLICY_HOLD = "policy_hold"
    REPORTED_SENT = "reported_sent"
    REPORTED_UNSENT = "reported_unsent"
    REDELIVER = "redeliver"
    REDELIVER_FORCED = "redeliver_forced"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_DROPPED = "resolved_dropped"


def _table() -> dict[tuple[DeliveryStatus, Cause], DeliveryStatus]:
    status, cause = DeliveryStatus, Cause
    waiting = (status.PENDING, status.SENDING, status.IN_DOUBT, status.HELD)
    table = {
        (status.PENDING, cause.CLAIMED): status.SENDING,
        (status.PENDING, cause.UNUSABLE): status.HELD,
        (status.SENDING, cause.ANSWERED_OK): status.ACCEPTED,
        (status.SENDING, cause.NOT_PROCESSED): status.PENDING,
        (status.SENDING, cause.UNSENT): status.PENDING,
        (status.SENDING, cause.OUTCOME_UNKNOWN): status.IN_DOUBT,
        (status.SENDING, cause.LEASE_EXPIRED): status.IN_DOUBT,
        (status.SENDING, cause.GIVEN_UP): status.DEAD,
        (status.SENDING, cause.MUST_NOT_SEND): status.SUPPRESSED,
        (status.SENDING, cause.GATE_CLOSED): status.PENDING,
        (status.SENDING, cause.UNUSABLE): status.HELD,
        (status.IN_DOUBT, cause.CHECK_FOUND): status.ACCEPTED,
        (status.IN_DOUBT, cause.CHECK_NOT_FOUND): status.PENDING,
        (status.IN_DOUBT, cause.CHECK_UNDECIDABLE): status.HELD,
        (status.IN_DOUBT, cause.CHECK_FAILED): status.IN_DOUBT,
        (status.IN_DOUBT, cause.POLICY_RESEND): status.PENDING,
        (status.IN_DOUBT, cause.POLICY_HOLD): status.HELD,
        (status.IN_DOUBT, cause.UNUSABLE): status.HELD,
        (status.ACCEPTED, cause.REPORTED_SENT): status.CONFIRMED,
        (status.ACCEPTED, cause.REPORTED_UNSENT): status.UNDELIVERED,
        (status.HELD, cause.REDELIVER): status.PENDING,
        (status.DEAD, cause.REDELIVER): status.PENDING,
        (status.UNDELIVERED, cause.REDELIVER): status.PENDING,
        (status.HELD, cause.RESOLVED_SENT): status.ACCEPTED,
        (status.DEAD, cause.RESOLVED_SENT): status.ACCEPTED,
        (status.HELD, cause.RESOLVED_DROPPED): status.DROPPED,
        (status.DEAD, cause.RESOLVED_DROPPED): status.DROPPED,
    }
    table |= {(one, cause.REPORTED_SENT): status.CONFIRMED for one in waiting}
    doubted = (status.IN_DOUBT, status.HELD, status.PENDING)
    table |= {(one, cause.ANSWERED_LATE): status.ACCEPTED for one in doubted}
    # Forcing what a worker holds right now would send it twice at once.
    forceable = set(status) - {status.SENDING}
    table |= {(one, cause.REDELIVER_FORCED): status.PENDING for one in forceable}
    return table


#: Every step a delivery can take, and no other.
TRANSITIONS: Mapping[tuple[DeliveryStatus, Cause], DeliveryStatus] = _table()


def next_status(status: DeliveryStatus, cause: Cause) -> DeliveryStatus:
    """Look up where a cause leads.

    Raises:
        TransitionError: The table has no such step.
    """
    try:
        return TRANSITIONS[status, cause]
    except KeyError:
        raise TransitionError(f"no step {cause} from {status}") from None


def sources(cause: Cause) -> frozenset[DeliveryStatus]:
    """List the states in which a cause may strike."""
    return frozenset(status for status, known in TRANSITIONS if known is cause)


class Lane(StrEnum):
    """Which queue a waiting delivery stands in; each has slots of its own."""

    FRESH = "fresh"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One webhook as received: the raw body, and what was worth keeping beside it."""

    body: bytes
    #: Lower-case names, allow-listed: never a secret.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Endpoint named by the drop-in door (`email/target`), else None.
    door: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """One thing to tell one person."""

    #: Business key (`pub:pub_…:v_…`), the same whichever event tells of the reward.
    key: str
    #: How long the business key is remembered.
    keep: timedelta
    #: Further keys of the same fact: each voucher of a whole publication.
    also: tuple[str, ...] = ()
    #: Voucherify's customer id (`cust_…`), where one was sent.
    customer_id: str | None
    #: The customer's source id as sent: a string, or a number; placeholders and
    #: empty texts are already None.
    source_id: Json = None
    email: Json = None
    #: What the person gets, in the vendor's form; never the card that paid.
    vouchers: tuple[Mapping[str, Json], ...] = ()
    #: False where the voucher is not new to the person but what the reward is about:
    #: the card that got points. Its code then marks no repeat.
    is_handed_over: bool = True
    #: Codes to show, in order; a raw body has codes without vouchers.
    codes: tuple[str, ...] = ()
    #: Campaign of the event (an object, or empty).
    campaign: Mapping[str, Json] = field(default_factory=dict)
    #: Iterable's own keys, where the operator wrote them (`data` or the root).
    raw: Mapping[str, Json] | None = None
    publication_id: str | None = None
    #: How many vouchers the publication has, which may exceed those shown.
    published: int = 0
    #: Values for templates beside those above: `points`, `amount`, `name`, `type`.
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A webhook read: what it is and which rewards it tells of."""

    #: Stops repeats: `whs_…`, else SHA-256 of door and stripped body.
    transport_key: str
    #: True where the key is a hash, which recognises repeats for 25 hours only.
    is_hashed: bool
    kind: Literal["project", "distribution", "raw", "unknown"]
    event_type: str | None
    rewards: tuple[Reward, ...]
    #: The whole document, for templates; None where the body is not JSON.
    document: Json
    #: Why nothing of it can be used, in plain words; None for a usable one.
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Whom Iterable shall write to; exactly one of the two is set."""

    user_id: UserId | None = None
    email: str | None = None

    @property
    def name(self) -> str:
        """The one that is set, for the ledger."""
        return self.user_id or self.email or ""


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


class Classification(StrEnum):
    """What Iterable's answer means for the message (contract, section 4)."""

    SUCCESS = "SUCCESS"
    SUCCESS_LIKE = "SUCCESS_LIKE"
    RETRY = "RETRY"
    PERMANENT = "PERMANENT"
    CONFIG = "CONFIG"


class Blame(StrEnum):
    """Which gate a configuration error closes."""

    DESTINATION = "destination"  #: key or host
    ROUTE = "route"  #: campaign, or what the route asks of the project


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one HTTP call ended, with nothing personal in it."""

    classification: Classification
    #: One sentence made of status, code and keys of `params`; never Iterable's text.
    reason: str
    #: HTTP status, None where no answer came.
    status: int | None = None
    code: str | None = None
    #: Keys of `params` in the answer.
    params: tuple[str, ...] = ()
    #: `iterable-request-id` of the answer.
    request_id: str | None = None
    #: True when the message may have been processed all the same.
    is_unknown: bool = False
    #: What the other side asked for, within its cap.
    retry_after: timedelta | None = None
    #: True when the wait concerns the whole project (429).
    pauses_destination: bool = False
    blame: Blame | None = None
    #: Most attempts worth making on this kind of answer, None for no limit of its own.
    max_attempts: int | None = None
    scheduled_message_id: int | None = None
    #: The answer was unreadable though successful; worth a count.
    is_odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP call at one delivery."""

    #: From 1, over the delivery's whole life.
    number: int
    started_at: datetime
    duration: timedelta
    #: A word of `Classification`, or `unknown`, `unsent`.
    outcome: str
    status: int | None
    code: str | None
    reason: str
    request_id: str | None
    #: The bytes sent, None where nothing was.
    payload: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a worker has to say of one claim."""

    delivery_id: str
    token: str
    cause: Cause
    #: In plain words; None where there is nothing to say.
    reason: str | None
    #: Wait before the next step, for what goes on waiting.
    delay: timedelta | None = None
    attempt: Attempt | None = None
    #: False where the attempt shall not be held against the delivery (closed gate).
    is_counted: bool = True
    scheduled_message_id: int | None = None


class GateState(StrEnum):
    """Whether deliveries may pass."""

    OPEN = "open"
    CLOSED = "closed"  #: by a configuration error; probed until it opens
    PROBING = "probing"  #: closed, and one real delivery may pass
    PAUSED = "paused"  #: by a person; only a person opens it


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What may hold deliveries back: the destination's, or one route's."""

    #: `destination`, or `route:<name>`.
    name: str
    state: GateState
    reason: str | None
    closed_at: datetime | None
    probe_at: datetime | None
    #: Next free send time of the destination (GCRA), None for never used.
    next_slot_at: datetime | None
    #: No send before this (429), whatever the slots say.
    paused_until: datetime | None
