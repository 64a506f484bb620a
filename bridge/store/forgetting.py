"""What the tables hold of one person, found and taken out; who it is, others decide."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Select,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from bridge.model import Cause, DeliveryStatus, EventStatus, next_status
from bridge.store import bulks, catalogue, deeds
from bridge.store.database import AnyRow, Tx
from bridge.store.keys_forgotten import hashed
from bridge.store.schema import CHUNK, attempts, deliveries, events, reports
from bridge.store.sendings import digest

FORGOTTEN = "forgotten at the person's request"
#: Events read in one look.
_LOOK = 500
_FIRST = "00000000-0000-0000-0000-000000000000"

_BODIES = (
    select(events.c.id, events.c.body)
    .where(events.c.id > bindparam("after"), events.c.blanked_at.is_(None))
    .order_by(events.c.id)
    .limit(_LOOK)
)
_wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
_OWN = select(deliveries.c.event_id, deliveries.c.customer_id).where(
    or_(deliveries.c.recipient.in_(_wanted), deliveries.c.customer_id.in_(_wanted))
)
_OF_EVENTS = select(
    deliveries.c.id,
    deliveries.c.event_id,
    deliveries.c.route,
    deliveries.c.key,
    deliveries.c.status,
    deliveries.c.recipient,
    deliveries.c.customer_id,
).where(deliveries.c.event_id.in_(_wanted))
_PAYLOADS = select(func.count()).where(
    attempts.c.delivery_id.in_(_wanted), attempts.c.payload.is_not(None)
)
_WHOLE = select(events.c.id).where(
    events.c.id.in_(_wanted), events.c.blanked_at.is_(None)
)
_BLANK = update(events).where(events.c.id.in_(_wanted), events.c.blanked_at.is_(None))
_BLANK_PAYLOADS = (
    update(attempts)
    .where(attempts.c.delivery_id.in_(_wanted), attempts.c.payload.is_not(None))
    .values(payload=None)
)
_REPORTS = select(reports.c.id).where(reports.c.delivery_id.in_(_wanted))
_UNMATCHED = select(reports.c.id).where(
    reports.c.person.in_(_wanted), reports.c.delivery_id.is_(None)
)
_REMOVE_REPORTS = delete(reports).where(reports.c.id.in_(_wanted))
_EMPTY = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("forgotten"))
    .values(
        key=bindparam("hashed_key"),
        recipient="",
        customer_id=None,
        code="",
        status=bindparam("to_status"),
        due_at=None,
        token=None,
        reason=FORGOTTEN,
        updated_at=bindparam("at"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One delivery of an event concerned, and whose it is."""

    id: str
    event_id: str
    route: str
    key: str
    status: DeliveryStatus
    #: True where it is the person's own.
    is_own: bool

    @property
    def waits(self) -> bool:
        """Tell whether something is still to become of it."""
        return self.status in _WAITING

    @property
    def is_being_sent(self) -> bool:
        """Tell whether a worker has it right now."""
        return self.status is DeliveryStatus.SENDING


_WAITING = (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT, DeliveryStatus.HELD)


def bodies(tx: Tx, after: str | None) -> list[tuple[str, bytes]]:
    """Read some bodies that are kept, by event, behind one in the order of ids."""
    rows = tx.connection.execute(_BODIES, {"after": after or _FIRST})
    return [(row.id, row.body) for row in rows]


def told_to(tx: Tx, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Find deliveries by recipient or customer id: their events and customer ids."""
    for row in _chunked(tx, _OWN, names):
        yield row.event_id, row.customer_id


def shares(
    tx: Tx,
    event_ids: Sequence[str],
    is_own: Callable[[str, str | None], bool],
    *,
    keep: bool,
) -> list[Share]:
    """List the deliveries of events.

    Args:
        tx: The transaction.
        event_ids: Of which.
        keep: True keeps them as they are until the transaction ends.
        is_own: Tells by recipient and customer id whether one is the person's own.
    """
    statement = _OF_EVENTS.with_for_update() if keep else _OF_EVENTS
    return [
        Share(
            id=row.id,
            event_id=row.event_id,
            route=row.route,
            key=row.key,
            status=DeliveryStatus(row.status),
            is_own=is_own(row.recipient, row.customer_id),
        )
        for row in _chunked(tx, statement, event_ids)
    ]


def payloads(tx: Tx, delivery_ids: Sequence[str]) -> int:
    """Count the payloads that are kept of deliveries."""
    return sum(int(row[0]) for row in _chunked(tx, _PAYLOADS, delivery_ids))


def whole(tx: Tx, event_ids: Sequence[str]) -> int:
    """Count the events that are not blanked."""
    return sum(1 for _ in _chunked(tx, _WHOLE, event_ids))


def blank_payloads(tx: Tx, delivery_ids: Sequence[str]) -> int:
    """Take what was sent out of attempts; count them."""
    values = {"wanted": list(delivery_ids)}
    return tx.connection.execute(_BLANK_PAYLOADS, values).rowcount


def blank_events(tx: Tx, event_ids: Sequence[str]) -> int:
    """Take bodies and headers out of events; count them.

    A parked one has nothing left to wait for.
    """
    wanted = {"wanted": list(event_ids)}
    tx.connection.execute(
        _BLANK.where(events.c.status == EventStatus.PARKED.value).values(
            status=EventStatus.IGNORED.value, reason=FORGOTTEN, waits_for=None
        ),
        wanted,
    )
    blanked = _BLANK.values(body=b"", headers={}, blanked_at=tx.now)
    return tx.connection.execute(blanked, wanted).rowcount


def reports_on(tx: Tx, delivery_ids: Sequence[str], emails: Iterable[str]) -> list[str]:
    """List what Iterable reported of deliveries, or of addresses and no delivery."""
    persons = [digest(one) for one in emails]
    return [
        *(row.id for row in _chunked(tx, _REPORTS, delivery_ids)),
        *(row.id for row in _chunked(tx, _UNMATCHED, filter(None, persons))),
    ]


def remove_reports(tx: Tx, ids: Sequence[str]) -> int:
    """Remove reports; count them."""
    if not ids:
        return 0
    return tx.connection.execute(_REMOVE_REPORTS, {"wanted": list(ids)}).rowcount


def unsearch(tx: Tx, names: Iterable[str]) -> None:
    """Take the person's names out of what runs over many deliveries search for."""
    bulks.forget(tx, frozenset(names))


def empty(tx: Tx, several: Sequence[Share]) -> None:
    """Take the person out of deliveries; what waits will not be sent."""
    rows = [
        {
            "forgotten": one.id,
            "hashed_key": f"forgotten:{hashed(one.route, one.key)}",
            "to_status": _forgotten(one).value,
            "at": tx.now,
        }
        for one in several
    ]
    if rows:
        tx.connection.execute(_EMPTY, rows)
        unlist(tx, [one.id for one in several])
        deeds.silence(tx, [one.id for one in several])


def unlist(tx: Tx, delivery_ids: Sequence[str]) -> None:
    """Let nobody find deliveries by the words they had."""
    catalogue.forget(tx, delivery_ids)


def _forgotten(one: Share) -> DeliveryStatus:
    return next_status(one.status, Cause.FORGOTTEN) if one.waits else one.status


def _chunked(
    tx: Tx, statement: Select[*tuple[Any, ...]], wanted: Iterable[str]
) -> Iterator[AnyRow]:
    several = sorted(set(wanted))
    for start in range(0, len(several), CHUNK):
        values = {"wanted": several[start : start + CHUNK]}
        yield from tx.connection.execute(statement, values).all()
