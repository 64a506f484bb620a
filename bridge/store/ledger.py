"""The ledger: what came, what became of it, and mending by hand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, TextClause, bindparam, func, select, update

from bridge.errors import TransitionError
from bridge.model import (
    Attempt,
    Capture,
    Cause,
    DeliveryStatus,
    EventStatus,
    Gate,
    Lane,
    next_status,
    sources,
)
from bridge.store import routes_waiting
from bridge.store.database import AnyRow, Database, Tx
from bridge.store.gates import Gates
from bridge.store.schema import (
    IS_TROUBLED,
    IS_UNUSED,
    MOVING,
    TROUBLED,
    as_id,
    attempts,
    deliveries,
    events,
)
from bridge.store.searching import matching


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; what is None asks nothing."""

    status: DeliveryStatus | None = None
    route: str | None = None
    #: Whole or beginning of a recipient, code, campaign, customer id, key or id.
    search: str | None = None
    #: Stored at or after this time.
    since: datetime | None = None
    limit: int = 50
    #: Only what was stored before the delivery with this id: the next page.
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; what is None asks nothing."""

    status: EventStatus | None = None
    #: Received at or after this time.
    since: datetime | None = None
    limit: int = 50
    #: Only what was received before the event with this id: the next page.
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One delivery as it stands."""

    id: str
    event_id: str
    route: str
    endpoint: str
    key: str
    recipient: str
    customer_id: str | None
    #: Codes handed over, joined by ", ".
    code: str
    campaign: str | None
    status: DeliveryStatus
    lane: Lane
    due_at: datetime | None
    #: Attempts since the count last began.
    attempts: int
    #: Attempts in all.
    number: int
    doubts: int
    aging_since: datetime
    voucher_expires_at: datetime | None
    scheduled_message_id: int | None
    reason: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One webhook as listed."""

    id: str
    transport_key: str | None
    received_at: datetime
    repeated_at: datetime | None
    repeats: int
    kind: str
    event_type: str | None
    door: str | None
    status: EventStatus
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(EventRow):
    """One webhook with its bytes."""

    capture: Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is known of one delivery."""

    delivery: DeliveryRow
    event: StoredEvent
    #: From the first to the last.
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the queue does."""

    #: How long the oldest due delivery has been due; None when none is.
    oldest_due_age: timedelta | None
    #: Deliveries that wait to be sent.
    depth: int
    #: Counts of all but what ended well, which only grows and says nothing of health.
    by_status: Mapping[DeliveryStatus, int]
    #: Gates that are not open, and the destination's.
    gates: Mapping[str, Gate]


_DELIVERY = [column for column in deliveries.c if column.name != "token"]
_EVENT = [
    column
    for column in events.c
    if column.name not in ("is_hashed", "waits_for", "headers", "body")
]
_WAITING_COUNTS = (
    select(deliveries.c.status, func.count(), func.min(deliveries.c.due_at))
    .where(deliveries.c.due_at.is_not(None))
    .group_by(deliveries.c.status)
)
_TROUBLED_COUNTS = (
    select(deliveries.c.status, func.count())
    .where(IS_TROUBLED)
    .group_by(deliveries.c.status)
)
_REDELIVER = update(deliveries).where(
    deliveries.c.id == bindparam("again"),
    deliveries.c.status.in_(bindparam("allowed", expanding=True)),
)
_CLOSE = update(deliveries).where(
    deliveries.c.id == bindparam("closed"),
    deliveries.c.status == bindparam("from_status"),
)


class Ledger:
    """Answers questions about what is stored, and mends by hand.

    Args:
        database: Where it is stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def deliveries(self, wanted: DeliveryFilter) -> list[DeliveryRow]:
        """List deliveries, the newest first."""
        statement = select(*_DELIVERY).order_by(deliveries.c.id.desc())
        statement = statement.limit(wanted.limit)
        if wanted.status is not None:
            statement = statement.where(*_in_status(wanted.status))
        if wanted.route is not None:
            statement = statement.where(deliveries.c.route == wanted.route)
        if wanted.since is not None:
            statement = statement.where(deliveries.c.created_at >= wanted.since)
        if wanted.after is not None:
            statement = statement.where(deliveries.c.id < (as_id(wanted.after) or ""))
        if wanted.search is not None:
            statement = statement.where(matching(wanted.search))
        with self._database.read() as tx:
            return [_delivery(row) for row in tx.connection.execute(statement)]

    def story(self, delivery_id: str) -> Story | None:
        """Tell everything about one delivery; None where there is none."""
        known = as_id(delivery_id)
        if known is None:
            return None
        with self._database.read() as tx:
            found = select(*_DELIVERY).where(deliveries.c.id == known)
            row = tx.connection.execute(found).first()
            event = None if row is None else _find_event(tx, row.event_id)
            if row is None or event is None:
                return None
            made = (
                select(attempts)
                .where(attempts.c.delivery_id == known)
                .order_by(attempts.c.number)
            )
            tries = tuple(_attempt(one) for one in tx.connection.execute(made))
        return Story(delivery=_delivery(row), event=event, attempts=tries)

    def events(self, wanted: EventFilter) -> list[EventRow]:
        """List events, the newest first."""
        statement = select(*_EVENT).order_by(events.c.id.desc()).limit(wanted.limit)
        if wanted.status is not None:
            statement = statement.where(events.c.status == wanted.status.value)
            if wanted.status is not EventStatus.STORED:
                statement = statement.where(IS_UNUSED)
        if wanted.since is not None:
            statement = statement.where(events.c.received_at >= wanted.since)
        if wanted.after is not None:
            statement = statement.where(events.c.id < (as_id(wanted.after) or ""))
        with self._database.read() as tx:
            return [EventRow(**_event(row)) for row in tx.connection.execute(statement)]

    def event(self, event_id: str) -> StoredEvent | None:
        """Find one event with its bytes; None where there is none."""
        known = as_id(event_id)
        if known is None:
            return None
        with self._database.read() as tx:
            return _find_event(tx, known)

    def redeliver(
        self, tx: Tx, ids: Sequence[str], *, force: bool = False
    ) -> list[str]:
        """Put deliveries back in the queue, as if new; attempts and keys stay.

        Args:
            tx: The transaction.
            ids: Which ones.
            force: True also for those that went well, or wait, or are in doubt.

        Returns:
            Those that were put back; the state table forbids the others.
        """
        cause = Cause.REDELIVER_FORCED if force else Cause.REDELIVER
        allowed = sorted(status.value for status in sources(cause))
        statement = _REDELIVER.values(
            status=DeliveryStatus.PENDING.value,
            lane=Lane.FRESH.value,
            due_at=tx.now,
            token=None,
            attempts=0,
            doubts=0,
            aging_since=tx.now,
            scheduled_message_id=None,
            reason=None,
            updated_at=tx.now,
        )
        known = [one for one in map(as_id, ids) if one is not None]
        return [
            one
            for one in known
            if tx.connection.execute(
                statement, {"again": one, "allowed": allowed}
            ).rowcount
        ]

    def resolve(self, tx: Tx, delivery_id: str, cause: Cause, reason: str) -> None:
        """Close a held or dead delivery by hand.

        Args:
            tx: The transaction.
            delivery_id: Which one.
            cause: `RESOLVED_SENT` or `RESOLVED_DROPPED`.
            reason: In plain words, kept.

        Raises:
            TransitionError: There is no such delivery, or its state forbids it.
        """
        known = as_id(delivery_id)
        found = select(deliveries.c.status).where(deliveries.c.id == known)
        before = tx.connection.execute(found.with_for_update()).scalar()
        if known is None or before is None:
            raise TransitionError(f"there is no delivery {delivery_id}")
        status = next_status(DeliveryStatus(before), cause)
        tx.connection.execute(
            _CLOSE.values(
                status=status.value, due_at=None, reason=reason, updated_at=tx.now
            ),
            {"closed": known, "from_status": before},
        )

    def health(self) -> Health:
        """Say how the queue does; cheap enough to be asked every second."""
        with self._database.read() as tx:
            waiting = tx.connection.execute(_WAITING_COUNTS).all()
            troubled = tx.connection.execute(_TROUBLED_COUNTS).all()
            gates = Gates().read(tx)
        counts = {DeliveryStatus(row[0]): int(row[1]) for row in (*waiting, *troubled)}
        pending = DeliveryStatus.PENDING
        due = next((row[2] for row in waiting if row[0] == pending.value), None)
        age = None if due is None or due > tx.now else tx.now - due
        return Health(
            oldest_due_age=age,
            depth=counts.get(pending, 0),
            by_status=counts,
            gates=gates,
        )

    def waiting_routes(self) -> set[str]:
        """List the routes for which deliveries are pending or in doubt."""
        with self._database.read() as tx:
            return routes_waiting.names(tx)


def _in_status(status: DeliveryStatus) -> Iterator[ColumnElement[bool] | TextClause]:
    """Ask for a state in such words that its partial index is used."""
    yield deliveries.c.status == status.value
    if status in MOVING:
        yield deliveries.c.due_at.is_not(None)
    if status in TROUBLED:
        yield IS_TROUBLED


def _find_event(tx: Tx, event_id: str) -> StoredEvent | None:
    found = select(events).where(events.c.id == event_id)
    row = tx.connection.execute(found).first()
    if row is None:
        return None
    capture = Capture(body=row.body, headers=row.headers, door=row.door)
    return StoredEvent(**_event(row), capture=capture)


def _delivery(row: AnyRow) -> DeliveryRow:
    values = {column.name: getattr(row, column.name) for column in _DELIVERY}
    values |= {"status": DeliveryStatus(row.status), "lane": Lane(row.lane)}
    return DeliveryRow(**values)


def _event(row: AnyRow) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in _EVENT}
    return values | {"status": EventStatus(row.status)}


def _attempt(row: AnyRow) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=row.started_at,
        duration=timedelta(microseconds=row.duration_us),
        outcome=row.outcome,
        status=row.status,
        code=row.code,
        reason=row.reason,
        request_id=row.request_id,
        payload=row.payload,
    )
