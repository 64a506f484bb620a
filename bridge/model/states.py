"""The states of events and deliveries, and the table of a delivery's steps."""

from collections.abc import Mapping
from enum import StrEnum

from bridge.errors import TransitionError


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
    REPORTED_BOUNCED = "reported_bounced"  #: sent, and came back
    REDELIVER = "redeliver"
    REDELIVER_FORCED = "redeliver_forced"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_DROPPED = "resolved_dropped"
    FORGOTTEN = "forgotten"  #: the person asked for it


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
        # A message is first handed over, and bounces later.
        (status.CONFIRMED, cause.REPORTED_BOUNCED): status.UNDELIVERED,
        (status.HELD, cause.REDELIVER): status.PENDING,
        (status.DEAD, cause.REDELIVER): status.PENDING,
        (status.UNDELIVERED, cause.REDELIVER): status.PENDING,
        (status.HELD, cause.RESOLVED_SENT): status.ACCEPTED,
        (status.DEAD, cause.RESOLVED_SENT): status.ACCEPTED,
        (status.HELD, cause.RESOLVED_DROPPED): status.DROPPED,
        (status.DEAD, cause.RESOLVED_DROPPED): status.DROPPED,
    }
    table |= {(one, cause.REPORTED_SENT): status.CONFIRMED for one in waiting}
    # What Iterable has skipped, it had taken; what is pending will be sent anyway.
    taken = (status.ACCEPTED, status.SENDING, status.IN_DOUBT, status.HELD)
    for contrary in (cause.REPORTED_UNSENT, cause.REPORTED_BOUNCED):
        table |= {(one, contrary): status.UNDELIVERED for one in taken}
    doubted = (status.IN_DOUBT, status.HELD, status.PENDING)
    table |= {(one, cause.FORGOTTEN): status.SUPPRESSED for one in doubted}
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
