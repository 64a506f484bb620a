"""What else was sent to a person: who decides about one doubt has to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import and_, bindparam, or_, select

from bridge.model import DeliveryStatus
from bridge.store.database import AnyRow, Tx
from bridge.store.schema import attempts, deliveries

_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtedSend:
    """Whom and what a doubt is about: others like it wait meanwhile."""

    recipient: str
    route: str
    #: What was sent perhaps; None where its worker vanished.
    payload: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt that was made."""

    number: int
    started_at: datetime
    ended_at: datetime
    outcome: str
    #: The bytes sent; None where they are not known, or no longer.
    payload: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """One of a person's deliveries."""

    delivery_id: str
    status: DeliveryStatus
    route: str
    endpoint: str
    #: Unknown outcomes since the count last began.
    doubts: int
    #: Attempts over its whole life.
    number: int
    aging_since: datetime
    #: When it came into its state.
    since: datetime
    #: Those that may matter, from the first to the last.
    calls: tuple[Call, ...]


_LAST_SENT = (
    select(
        deliveries.c.recipient,
        deliveries.c.route,
        attempts.c.payload,
    )
    .outerjoin(
        attempts,
        and_(
            attempts.c.delivery_id == deliveries.c.id,
            attempts.c.number == deliveries.c.number,
        ),
    )
    .where(deliveries.c.status == _IN_DOUBT, deliveries.c.due_at.is_not(None))
)
_SIBLINGS = (
    select(
        deliveries.c.id,
        deliveries.c.status,
        deliveries.c.route,
        deliveries.c.endpoint,
        deliveries.c.doubts,
        deliveries.c.number,
        deliveries.c.aging_since,
        deliveries.c.updated_at,
        attempts.c.number.label("call"),
        attempts.c.started_at,
        attempts.c.duration_us,
        attempts.c.outcome,
        attempts.c.payload,
    )
    .outerjoin(
        attempts,
        and_(
            attempts.c.delivery_id == deliveries.c.id,
            or_(
                attempts.c.started_at >= bindparam("since"),
                # Whenever it was made, it may have been sent only now.
                deliveries.c.scheduled_message_id.is_not(None),
                deliveries.c.status == _IN_DOUBT,
            ),
        ),
    )
    .where(
        deliveries.c.recipient == bindparam("who"),
        or_(
            attempts.c.delivery_id.is_not(None),
            deliveries.c.status.in_([_SENDING, _IN_DOUBT]),
        ),
    )
    .order_by(deliveries.c.id, attempts.c.number)
)


def doubted(tx: Tx, limit: int) -> list[DoubtedSend]:
    """List whom and what all doubts are about, in no order."""
    rows = tx.connection.execute(_LAST_SENT.limit(limit))
    return [
        DoubtedSend(
            recipient=row.recipient,
            route=row.route,
            payload=row.payload,
        )
        for row in rows
    ]


def siblings(tx: Tx, recipient: str, since: datetime) -> list[Sibling]:
    """List a person's deliveries that were, are or may have been sent since a time.

    Args:
        tx: The transaction.
        recipient: The person, as deliveries name them.
        since: Calls before it are left out, but for those of scheduled messages and of
            deliveries in doubt.
    """
    values = {"who": recipient, "since": since}
    rows = tx.connection.execute(_SIBLINGS, values)
    return [_sibling(list(several)) for _, several in groupby(rows, lambda row: row.id)]


def _sibling(rows: Sequence[AnyRow]) -> Sibling:
    one = rows[0]
    return Sibling(
        delivery_id=one.id,
        status=DeliveryStatus(one.status),
        route=one.route,
        endpoint=one.endpoint,
        doubts=one.doubts,
        number=one.number,
        aging_since=one.aging_since,
        since=one.updated_at,
        calls=tuple(
            Call(
                number=row.call,
                started_at=row.started_at,
                ended_at=row.started_at + timedelta(microseconds=row.duration_us),
                outcome=row.outcome,
                payload=row.payload,
            )
            for row in rows
            if row.call is not None
        ),
    )
