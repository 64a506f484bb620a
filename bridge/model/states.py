"""The states of events and deliveries, and the table of a delivery's transitions."""

from collections.abc import Mapping
from enum import StrEnum

from bridge.errors import TransitionError


class EventStatus(StrEnum):
    """What the bridge made of one webhook."""

    STORED = "stored"  #: made at least one delivery
    PARKED = "parked"  #: cannot be used as it is; the reason says why
    IGNORED = "ignored"  #: no route matches it
    DUPLICATE = "duplicate"  #: an earlier event brought the same messages


class DeliveryStatus(StrEnum):
    """The state of one delivery."""

    PENDING = "pending"  #: waits for its time, its circuit breakers and a send slot
    SENDING = "sending"  #: claimed by a worker under a lease
    IN_DOUBT = "in_doubt"  #: may have been sent; the outcome is unknown
    HELD = "held"  #: waits for a person
    ACCEPTED = "accepted"  #: the destination accepted it
    CONFIRMED = "confirmed"  #: a receipt says the message was sent
    UNDELIVERED = "undelivered"  #: a receipt says it was skipped or bounced
    DEAD = "dead"  #: given up
    SUPPRESSED = "suppressed"  #: must not be sent (a forgotten user)
    DROPPED = "dropped"  #: closed by an operator, unsent


class Trigger(StrEnum):
    """Why a delivery changes its state."""

    CLAIMED = "claimed"
    ANSWERED_OK = "answered_ok"
    ANSWERED_LATE = "answered_late"  #: accepted, though the lease had expired
    NOT_PROCESSED = "not_processed"
    UNSENT = "unsent"  #: released by its worker, untouched
    OUTCOME_UNKNOWN = "outcome_unknown"
    LEASE_EXPIRED = "lease_expired"
    GIVEN_UP = "given_up"
    MUST_NOT_SEND = "must_not_send"
    CIRCUIT_OPEN = "circuit_open"
    #: No payload, no recipient, route removed, or the body names a bad campaign.
    UNUSABLE = "unusable"
    CHECK_FOUND = "check_found"
    CHECK_NOT_FOUND = "check_not_found"
    CHECK_UNDECIDABLE = "check_undecidable"
    CHECK_FAILED = "check_failed"
    POLICY_RESEND = "policy_resend"
    POLICY_HOLD = "policy_hold"
    RECEIPT_SENT = "receipt_sent"
    RECEIPT_SKIPPED = "receipt_skipped"
    RECEIPT_BOUNCED = "receipt_bounced"  #: sent, and came back
    REDELIVER = "redeliver"
    REDELIVER_FORCED = "redeliver_forced"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_DROPPED = "resolved_dropped"
    FORGOTTEN = "forgotten"  #: the customer was erased


def _table() -> dict[tuple[DeliveryStatus, Trigger], DeliveryStatus]:
    status, trigger = DeliveryStatus, Trigger
    waiting = (status.PENDING, status.SENDING, status.IN_DOUBT, status.HELD)
    table = {
        (status.PENDING, trigger.CLAIMED): status.SENDING,
        (status.PENDING, trigger.UNUSABLE): status.HELD,
        (status.SENDING, trigger.ANSWERED_OK): status.ACCEPTED,
        (status.SENDING, trigger.NOT_PROCESSED): status.PENDING,
        (status.SENDING, trigger.UNSENT): status.PENDING,
        (status.SENDING, trigger.OUTCOME_UNKNOWN): status.IN_DOUBT,
        (status.SENDING, trigger.LEASE_EXPIRED): status.IN_DOUBT,
        (status.SENDING, trigger.GIVEN_UP): status.DEAD,
        (status.SENDING, trigger.MUST_NOT_SEND): status.SUPPRESSED,
        (status.SENDING, trigger.CIRCUIT_OPEN): status.PENDING,
        (status.SENDING, trigger.UNUSABLE): status.HELD,
        (status.IN_DOUBT, trigger.CHECK_FOUND): status.ACCEPTED,
        (status.IN_DOUBT, trigger.CHECK_NOT_FOUND): status.PENDING,
        (status.IN_DOUBT, trigger.CHECK_UNDECIDABLE): status.HELD,
        (status.IN_DOUBT, trigger.CHECK_FAILED): status.IN_DOUBT,
        (status.IN_DOUBT, trigger.POLICY_RESEND): status.PENDING,
        (status.IN_DOUBT, trigger.POLICY_HOLD): status.HELD,
        (status.IN_DOUBT, trigger.UNUSABLE): status.HELD,
        (status.ACCEPTED, trigger.RECEIPT_SENT): status.CONFIRMED,
        # A message is sent first, and bounces later.
        (status.CONFIRMED, trigger.RECEIPT_BOUNCED): status.UNDELIVERED,
        (status.HELD, trigger.REDELIVER): status.PENDING,
        (status.DEAD, trigger.REDELIVER): status.PENDING,
        (status.UNDELIVERED, trigger.REDELIVER): status.PENDING,
        (status.HELD, trigger.RESOLVED_SENT): status.ACCEPTED,
        (status.DEAD, trigger.RESOLVED_SENT): status.ACCEPTED,
        (status.HELD, trigger.RESOLVED_DROPPED): status.DROPPED,
        (status.DEAD, trigger.RESOLVED_DROPPED): status.DROPPED,
    }
    table |= {(one, trigger.RECEIPT_SENT): status.CONFIRMED for one in waiting}
    # A skipped message had been accepted; a pending one will be sent anyway.
    accepted = (status.ACCEPTED, status.SENDING, status.IN_DOUBT, status.HELD)
    for not_sent in (trigger.RECEIPT_SKIPPED, trigger.RECEIPT_BOUNCED):
        table |= {(one, not_sent): status.UNDELIVERED for one in accepted}
    open_states = (status.IN_DOUBT, status.HELD, status.PENDING)
    table |= {(one, trigger.FORGOTTEN): status.SUPPRESSED for one in open_states}
    table |= {(one, trigger.ANSWERED_LATE): status.ACCEPTED for one in open_states}
    # Forcing a delivery that a worker holds right now would send it twice.
    forceable = set(status) - {status.SENDING}
    table |= {(one, trigger.REDELIVER_FORCED): status.PENDING for one in forceable}
    return table


#: Every transition a delivery can make, and no other.
TRANSITIONS: Mapping[tuple[DeliveryStatus, Trigger], DeliveryStatus] = _table()


def next_status(status: DeliveryStatus, trigger: Trigger) -> DeliveryStatus:
    """Look up the status a trigger leads to.

    Raises:
        TransitionError: The table has no such transition.
    """
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise TransitionError(f"no transition {trigger} from {status}") from None


def sources(trigger: Trigger) -> frozenset[DeliveryStatus]:
    """List the states that have a transition for a trigger."""
    return frozenset(status for status, known in TRANSITIONS if known is trigger)
