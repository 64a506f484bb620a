"""Deliveries in doubt: leases that expired, checks that are due, decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import and_, bindparam, or_, select, update

from bridge.model import (
    Attempt,
    DeliveryStatus,
    InDoubtDelivery,
    Trigger,
    next_status,
)
from bridge.store.database import Transaction, as_type, duration_of
from bridge.store.queue import age_start, closed_times
from bridge.store.schema import LAST_ATTEMPT, attempts, deliveries
from bridge.store.settle import note_attempts

#: Why a delivery is in doubt whose worker never came back.
VANISHED = "its worker vanished; whether it was sent is unknown"

_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubtRecipient:
    """Recipient, route and last payload of a delivery in doubt."""

    recipient: str = field(repr=False)
    route: str
    destination: str
    #: What may have been sent; None where its worker vanished.
    payload: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientDelivery:
    """One of a recipient's deliveries."""

    delivery_id: str
    status: DeliveryStatus
    route: str
    destination: str
    endpoint: str
    #: Unknown outcomes since the count last began.
    unknown_outcomes: int
    #: Attempts over its whole life.
    attempt_no: int
    age_started_at: datetime
    #: When it came into its status.
    since: datetime
    #: Those that may matter, from the first to the last.
    attempts: tuple[Attempt, ...]


#: A delivery's columns under the names of `InDoubtDelivery` and `RecipientDelivery`.
_COLUMNS = (
    deliveries.c.id.label("delivery_id"),
    deliveries.c.updated_at.label("since"),
    deliveries.c.status,
    deliveries.c.route,
    deliveries.c.destination,
    deliveries.c.endpoint,
    deliveries.c.recipient,
    deliveries.c.unknown_outcomes,
    deliveries.c.attempt_no,
    deliveries.c.age_started_at,
)


def expire_leases(tx: Transaction, grace: timedelta = timedelta(0)) -> list[str]:
    """Put in doubt what is still claimed after its lease; return the ids.

    Args:
        tx: The transaction.
        grace: How long to wait for a late result before anything is decided.
    """
    is_over = deliveries.c.status == _SENDING, deliveries.c.due_at <= tx.now
    found = select(deliveries).where(*is_over).with_for_update(skip_locked=True)
    rows = tx.connection.execute(found).all()
    if not rows:
        return []
    expired = update(deliveries).where(
        deliveries.c.id == bindparam("expired"),
        deliveries.c.token == bindparam("held_by"),
        deliveries.c.status == _SENDING,
    )
    expired = expired.values(
        status=next_status(DeliveryStatus.SENDING, Trigger.LEASE_EXPIRED).value,
        due_at=tx.now + grace,
        updated_at=tx.now,
        reason=VANISHED,
        attempts=deliveries.c.attempts + 1,
        attempt_no=deliveries.c.attempt_no + 1,
        unknown_outcomes=deliveries.c.unknown_outcomes + 1,
    )
    tx.connection.execute(
        expired, [{"expired": row.id, "held_by": row.token} for row in rows]
    )
    unknown = {"duration_us": 0, "outcome": "unknown", "reason": VANISHED}
    unknown |= dict.fromkeys(("status", "code", "request_id", "payload"))
    made = [
        {"delivery_id": row.id, "number": row.attempt_no + 1}
        | unknown
        | {"started_at": row.updated_at}
        for row in rows
    ]
    note_attempts(tx, made)
    return [row.id for row in rows]


def due_for_check(tx: Transaction, limit: int) -> list[InDoubtDelivery]:
    """List deliveries in doubt that are due for a decision, longest due first."""
    found = (
        select(*_COLUMNS, deliveries.c.token)
        .where(deliveries.c.status == _IN_DOUBT, deliveries.c.due_at <= tx.now)
        .order_by(deliveries.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = tx.connection.execute(found).all()
    closed = closed_times(tx) if rows else {}
    return [
        as_type(
            row,
            InDoubtDelivery,
            token=row.token or "",
            age_started_at=age_start(row, closed),
        )
        for row in rows
    ]


def defer_check(tx: Transaction, delivery_ids: Sequence[str], delay: timedelta) -> None:
    """Look at deliveries in doubt again later; nothing else about them changes."""
    if delivery_ids:
        deferred = update(deliveries).where(
            deliveries.c.id.in_(delivery_ids), deliveries.c.status == _IN_DOUBT
        )
        tx.connection.execute(deferred.values(due_at=tx.now + delay))


def resolve(
    tx: Transaction,
    delivery_id: str,
    trigger: Trigger,
    *,
    delay: timedelta | None = None,
    reason: str | None = None,
    attempt_no: int | None = None,
) -> bool:
    """Decide on a delivery in doubt; False when it no longer is.

    Args:
        tx: The transaction.
        delivery_id: Which one.
        trigger: A trigger that may happen in doubt.
        delay: Wait before the next send or check; None for none.
        reason: In plain words.
        attempt_no: The attempt about which this was found out; None for the last.

    Raises:
        TransitionError: The trigger has no place in doubt.
    """
    status = next_status(DeliveryStatus.IN_DOUBT, trigger)
    goes_on = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    resolved = update(deliveries).where(
        deliveries.c.id == delivery_id, deliveries.c.status == _IN_DOUBT
    )
    if attempt_no is not None:
        resolved = resolved.where(deliveries.c.attempt_no == attempt_no)
    resolved = resolved.values(
        status=status.value,
        due_at=tx.now + (delay or timedelta(0)) if goes_on else None,
        reason=reason,
        updated_at=tx.now,
    )
    return tx.connection.execute(resolved).rowcount == 1


def recipients_in_doubt(tx: Transaction, limit: int) -> list[InDoubtRecipient]:
    """List recipient, route and last payload of in-doubt deliveries, in no order."""
    found = (
        select(*_COLUMNS, attempts.c.payload)
        .outerjoin(attempts, LAST_ATTEMPT)
        .where(deliveries.c.status == _IN_DOUBT, deliveries.c.due_at.is_not(None))
        .limit(limit)
    )
    return [as_type(row, InDoubtRecipient) for row in tx.connection.execute(found)]


def recipient_history(
    tx: Transaction, recipient: str, since: datetime
) -> list[RecipientDelivery]:
    """List a recipient's deliveries that were, are or may have been sent since a time.

    Args:
        tx: The transaction.
        recipient: As deliveries name them.
        since: Attempts before it are left out, but for those of scheduled messages and
            of deliveries in doubt.
    """
    may_matter = or_(
        attempts.c.started_at >= since,
        # Whenever it was made, it may have been sent only now.
        deliveries.c.message_id.is_not(None),
        deliveries.c.status == _IN_DOUBT,
    )
    of_delivery = and_(attempts.c.delivery_id == deliveries.c.id, may_matter)
    made = [one for one in attempts.c if one.name not in ("status", "delivery_id")]
    was_sent = or_(
        attempts.c.delivery_id.is_not(None),
        deliveries.c.status.in_([_SENDING, _IN_DOUBT]),
    )
    found = (
        select(*_COLUMNS, *made, attempts.c.status.label("http_status"))
        .outerjoin(attempts, of_delivery)
        .where(deliveries.c.recipient == recipient, was_sent)
        .order_by(deliveries.c.id, attempts.c.number)
    )
    histories = []
    for _, some in groupby(tx.connection.execute(found), lambda row: row.delivery_id):
        rows = list(some)
        calls = [
            as_type(row, Attempt, status=row.http_status, duration=duration_of(row))
            for row in rows
            if row.number is not None
        ]
        histories.append(as_type(rows[0], RecipientDelivery, attempts=tuple(calls)))
    return histories
