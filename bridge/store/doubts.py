"""Deliveries in doubt: what puts them there without a word, and what ends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, bindparam, func, select, update

from bridge.model import Cause, DeliveryStatus, Lane, next_status
from bridge.store.database import Tx
from bridge.store.schema import deliveries
from bridge.store.settling import note_attempts

_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value

#: Why a delivery is in doubt whose worker never came back.
VANISHED = "its worker vanished; whether it was sent is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A delivery whose outcome is unknown and whose time for a decision has come."""

    delivery_id: str
    token: str
    route: str
    endpoint: str
    recipient: str
    #: Unknown outcomes since the count last began.
    doubts: int
    #: Attempts over its whole life: a decision is about the doubt after this one.
    number: int
    #: Start of the age that `retry.max_age` limits.
    aging_since: datetime
    #: When the doubt began, or was last looked into in vain.
    since: datetime


_EXPIRED = (
    select(
        deliveries.c.id,
        deliveries.c.token,
        deliveries.c.number,
        deliveries.c.updated_at,
    )
    .where(
        deliveries.c.status == _SENDING,
        deliveries.c.due_at <= bindparam("now"),
    )
    .with_for_update(skip_locked=True)
)
_EXPIRE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("expired"),
        deliveries.c.token == bindparam("held_by"),
        deliveries.c.status == _SENDING,
    )
    .values(
        status=_IN_DOUBT,
        due_at=bindparam("to_due"),
        updated_at=bindparam("now"),
        reason=VANISHED,
        attempts=deliveries.c.attempts + 1,
        number=deliveries.c.number + 1,
        doubts=deliveries.c.doubts + 1,
    )
)
_DOUBTED = select(
    deliveries.c.id.label("delivery_id"),
    func.coalesce(deliveries.c.token, "").label("token"),
    deliveries.c.route,
    deliveries.c.endpoint,
    deliveries.c.recipient,
    deliveries.c.doubts,
    deliveries.c.number,
    deliveries.c.aging_since,
    deliveries.c.updated_at.label("since"),
).where(deliveries.c.status == _IN_DOUBT)
_DOUBTFUL = (
    _DOUBTED.where(
        deliveries.c.due_at <= bindparam("now"),
    )
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_POSTPONE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("postponed"), deliveries.c.status == _IN_DOUBT)
    .values(due_at=bindparam("to_due"))
)
_DECIDE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("decided"),
        deliveries.c.status == _IN_DOUBT,
        func.coalesce(bindparam("after", type_=Integer), deliveries.c.number)
        == deliveries.c.number,
    )
    .values(
        status=bindparam("to_status"),
        due_at=bindparam("to_due"),
        lane=Lane.RETRY.value,
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)


def expire_leases(tx: Tx, patience: timedelta = timedelta(0)) -> list[str]:
    """Put in doubt what is still claimed after its lease; return the ids.

    Args:
        tx: The round's transaction.
        patience: How long to wait for a late word of the worker before anything is
            decided.
    """
    rows = tx.connection.execute(_EXPIRED, {"now": tx.now}).all()
    if not rows:
        return []
    tx.connection.execute(
        _EXPIRE,
        [
            {
                "expired": row.id,
                "held_by": row.token,
                "to_due": tx.now + patience,
                "now": tx.now,
            }
            for row in rows
        ],
    )
    note_attempts(
        tx,
        [
            {
                "delivery_id": row.id,
                "number": row.number + 1,
                "started_at": row.updated_at,
                "duration_us": 0,
                "outcome": "unknown",
                "status": None,
                "code": None,
                "reason": VANISHED,
                "request_id": None,
                "payload": None,
            }
            for row in rows
        ],
    )
    return [row.id for row in rows]


def doubtful(tx: Tx, limit: int) -> list[Doubt]:
    """List deliveries in doubt that are due for a decision, longest due first."""
    rows = tx.connection.execute(_DOUBTFUL, {"now": tx.now, "most": limit})
    return [Doubt(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's own name


def postpone(tx: Tx, delivery_ids: Sequence[str], delay: timedelta) -> None:
    """Look at doubts again later; nothing else about them changes."""
    if delivery_ids:
        rows = [{"postponed": one, "to_due": tx.now + delay} for one in delivery_ids]
        tx.connection.execute(_POSTPONE, rows)


def decide_doubt(
    tx: Tx,
    delivery_id: str,
    cause: Cause,
    delay: timedelta | None,
    reason: str | None,
    number: int | None = None,
) -> bool:
    """Decide on a delivery in doubt; False when it no longer is.

    Args:
        tx: The round's transaction.
        delivery_id: Which one.
        cause: A cause that may strike in doubt.
        delay: Wait before the next send or check; None for none.
        reason: In plain words.
        number: The attempt about which this was found out; None for whichever it is.

    Raises:
        TransitionError: The cause has no place in doubt.
    """
    status = next_status(DeliveryStatus.IN_DOUBT, cause)
    goes_on = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    due = tx.now + (delay or timedelta(0)) if goes_on else None
    done = tx.connection.execute(
        _DECIDE,
        {
            "decided": delivery_id,
            "after": number,
            "to_status": status.value,
            "to_due": due,
            "why": reason,
            "now": tx.now,
        },
    )
    return done.rowcount == 1
