"""Which deliveries a report may speak of; reads only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from bridge.model import Capture, DeliveryStatus
from bridge.store.database import Tx
from bridge.store.schema import (
    IS_UNPROVEN,
    attempts,
    deliveries,
    events,
    keys,
    reports,
)

#: Most deliveries one report is weighed against.
_MOST = 50
#: Most recent deliveries looked through for one report of an address nobody knows.
_NEWEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A delivery that Iterable took, and what it was sent."""

    id: str
    sent_at: datetime
    payload: bytes


#: Joins a delivery to its last attempt.
LAST_ATTEMPT = and_(
    attempts.c.delivery_id == deliveries.c.id,
    attempts.c.number == deliveries.c.number,
)
_SENDINGS = (
    select(deliveries.c.id, attempts.c.started_at, attempts.c.payload)
    .select_from(deliveries.join(attempts, LAST_ATTEMPT))
    .where(
        deliveries.c.status == DeliveryStatus.ACCEPTED.value,
        attempts.c.payload.is_not(None),
    )
    .order_by(attempts.c.started_at.desc())
    .limit(_MOST)
)
_OF_MESSAGE = (
    select(reports.c.delivery_id)
    .where(
        reports.c.message_id == bindparam("message"),
        reports.c.delivery_id.is_not(None),
    )
    .limit(1)
)
_RECIPIENTS = (
    select(deliveries.c.recipient)
    .select_from(reports.join(deliveries, deliveries.c.id == reports.c.delivery_id))
    .where(reports.c.person == bindparam("digest"), reports.c.delivery_id.is_not(None))
    .distinct()
    .limit(_MOST)
)


class Sendings:
    """Finds what Iterable was sent."""

    def of_message(self, tx: Tx, message_id: str) -> str | None:
        """Find the delivery that an earlier report of the same message had."""
        found = tx.connection.execute(_OF_MESSAGE, {"message": message_id}).scalar()
        return None if found is None else str(found)

    def of_keys(self, tx: Tx, routes: Sequence[str], beginning: str) -> list[str]:
        """List the deliveries that hold keys of these routes with a beginning."""
        statement = select(keys.c.delivery_id).where(
            keys.c.route.in_(routes),
            keys.c.key >= beginning,
            keys.c.key < beginning + "\U0010ffff",
        )
        found = tx.connection.execute(statement.distinct().limit(_MOST))
        return list(found.scalars())

    def of(self, tx: Tx, ids: Iterable[str]) -> list[Sending]:
        """List those of the deliveries that Iterable took, the last sent first."""
        return _sendings(tx, _SENDINGS.where(deliveries.c.id.in_(list(ids))))

    def to(
        self, tx: Tx, people: Iterable[str], since: datetime, until: datetime
    ) -> list[Sending]:
        """List what Iterable took for people in a time, the last sent first."""
        statement = _SENDINGS.where(
            deliveries.c.recipient.in_(list(people)),
            attempts.c.started_at.between(since, until),
        )
        return _sendings(tx, statement)

    def unproven(self, tx: Tx) -> list[Sending]:
        """List what Iterable took last and has not reported on."""
        newest = (
            select(deliveries.c.id)
            .where(IS_UNPROVEN)
            .order_by(deliveries.c.id.desc())
            .limit(_NEWEST)
        )
        found = select(deliveries.c.id, attempts.c.started_at, attempts.c.payload)
        found = found.select_from(deliveries.join(attempts, LAST_ATTEMPT)).where(
            deliveries.c.id.in_(newest), attempts.c.payload.is_not(None)
        )
        return _sendings(tx, found)

    def rewards(self, tx: Tx, ids: Iterable[str]) -> list[tuple[str, str, Capture]]:
        """Look up deliveries: the id, the business key, and the webhook as received."""
        statement = (
            select(deliveries.c.id, deliveries.c.key, events.c.door, events.c.body)
            .select_from(deliveries.join(events, events.c.id == deliveries.c.event_id))
            .where(deliveries.c.id.in_(list(ids)))
        )
        return [
            (row.id, row.key, Capture(body=row.body, door=row.door))
            for row in tx.connection.execute(statement)
        ]

    def recipients(self, tx: Tx, email: str) -> list[str]:
        """List as whom an address is known from earlier reports."""
        return list(
            tx.connection.execute(_RECIPIENTS, {"digest": digest(email)}).scalars()
        )


def _sendings(tx: Tx, statement: Select[Any]) -> list[Sending]:
    return [
        Sending(id=row.id, sent_at=row.started_at, payload=row.payload)
        for row in tx.connection.execute(statement)
    ]


def digest(email: str | None) -> str | None:
    """Make of an address what recognises it, upper case or lower, and hides it."""
    if email is None:
        return None
    return sha256(email.lower().encode("utf-8", "replace")).hexdigest()
