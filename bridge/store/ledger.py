"""The ledger: what came, and what became of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select

from bridge.model import (
    Attempt,
    Capture,
    DeliveryStatus,
    EventStatus,
    KeptReport,
    Lane,
)
from bridge.store import bulks, catalogue, finding, route_names
from bridge.store.answers import (
    DeliveryFilter,
    DeliveryRow,
    EventFilter,
    EventRow,
    Health,
    StoredEvent,
    Story,
)
from bridge.store.database import AnyRow, Database, Tx
from bridge.store.deeds import Deed, note, note_gate, of_gate, of_subject
from bridge.store.figures import Figures, count
from bridge.store.gates import Gates
from bridge.store.glance import Glance, glance
from bridge.store.ids import NO_ID, as_id, earliest_id
from bridge.store.mending import close, redeliver, resolve
from bridge.store.presence import count_workers
from bridge.store.reports import count_unmatched, reports_of, unmatched
from bridge.store.schema import (
    CHUNK,
    IS_TROUBLED,
    IS_UNUSED,
    attempts,
    deliveries,
    events,
)

_DELIVERY = [column for column in deliveries.c if column.name != "token"]
_DELIVERY_NAMES = [column.name for column in _DELIVERY]
_BY_ID = (
    select(*_DELIVERY)
    .where(deliveries.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(deliveries.c.id.desc())
)
_EVENT = [
    column
    for column in events.c
    if column.name not in ("is_hashed", "waits_for", "headers", "body")
]
_STATUSES = select(deliveries.c.id, deliveries.c.status).where(
    deliveries.c.id.in_(bindparam("wanted", expanding=True))
)
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

_BLANKED = select(events.c.id).where(
    events.c.id.in_(bindparam("wanted", expanding=True)),
    events.c.blanked_at.is_not(None),
)


class Ledger:
    """Answers questions about what is stored, and mends by hand.

    Args:
        database: Where it is stored.
    """

    redeliver = staticmethod(redeliver)
    resolve = staticmethod(resolve)
    close = staticmethod(close)
    note = staticmethod(note)
    note_gate = staticmethod(note_gate)
    #: Runs over many deliveries (see `bulks`).
    begin_bulk = staticmethod(bulks.begin)
    step_bulk = staticmethod(bulks.step)
    end_bulk = staticmethod(bulks.end)
    bulk = staticmethod(bulks.find)
    bulks = staticmethod(bulks.newest)

    def __init__(self, database: Database) -> None:
        self._database = database

    def deliveries(self, wanted: DeliveryFilter) -> list[DeliveryRow]:
        """List deliveries, the newest first."""
        with self._database.read() as tx:
            ids = finding.ids(tx, wanted)
            found: list[DeliveryRow] = []
            for start in range(0, len(ids), CHUNK):
                values = {"wanted": ids[start : start + CHUNK]}
                rows = tx.connection.execute(_BY_ID, values)
                found += map(_delivery, rows)
        return found

    def glance(self) -> Glance:
        """Tell what a person wants to see first; quick, however much there is."""
        with self._database.read() as tx:
            return glance(tx)

    def note_words(self, margin: timedelta) -> bool:
        """Let the next few deliveries be found by their words.

        Args:
            margin: How old they must be, so that none comes between them later.

        Returns:
            True where there were that many.
        """
        with self._database.read() as tx:
            ends = earliest_id(tx.now - margin)
            is_due = catalogue.is_due(tx, ends)
        if is_due:
            with self._database.write() as tx:
                catalogue.note(tx, ends)
        return is_due

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
            told = tuple(reports_of(tx, known))
            done = (*of_subject(tx, row.event_id), *of_subject(tx, known))
        return Story(
            delivery=_delivery(row),
            event=event,
            attempts=tries,
            reports=told,
            deeds=tuple(sorted(done, key=lambda deed: deed.at)),
        )

    def statuses(self, ids: Iterable[str]) -> dict[str, DeliveryStatus]:
        """Tell where deliveries stand; those that are not there are left out."""
        known = sorted({one for one in map(as_id, ids) if one is not None})
        found: dict[str, DeliveryStatus] = {}
        with self._database.read() as tx:
            for start in range(0, len(known), CHUNK):
                values = {"wanted": known[start : start + CHUNK]}
                for row in tx.connection.execute(_STATUSES, values):
                    found[row.id] = DeliveryStatus(row.status)
        return found

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
            statement = statement.where(events.c.id < (as_id(wanted.after) or NO_ID))
        with self._database.read() as tx:
            return [EventRow(**_event(row)) for row in tx.connection.execute(statement)]

    def event(self, event_id: str) -> StoredEvent | None:
        """Find one event with its bytes; None where there is none."""
        known = as_id(event_id)
        if known is None:
            return None
        with self._database.read() as tx:
            return _find_event(tx, known)

    def blanked(self, event_ids: Sequence[str]) -> set[str]:
        """Find which of these events are no longer kept whole."""
        several = list(dict.fromkeys(event_ids))
        with self._database.read() as tx:
            return {
                one
                for start in range(0, len(several), CHUNK)
                for one in tx.connection.execute(
                    _BLANKED, {"wanted": several[start : start + CHUNK]}
                ).scalars()
            }

    def unmatched(
        self, limit: int, since: datetime | None = None
    ) -> tuple[list[KeptReport], int]:
        """List reports that fit no delivery, the newest first, and count them all.

        Args:
            limit: List no more.
            since: Only what was received at or after this time.
        """
        with self._database.read() as tx:
            return unmatched(tx, limit, since), count_unmatched(tx, since)

    def deliveries_of(self, event_id: str) -> list[DeliveryRow]:
        """List what an event made, in the order it was made."""
        made = select(*_DELIVERY).where(deliveries.c.event_id == as_id(event_id))
        with self._database.read() as tx:
            rows = tx.connection.execute(made.order_by(deliveries.c.id))
            return [_delivery(row) for row in rows]

    def deeds_at(self, gate: str) -> tuple[Deed, ...]:
        """Tell what people did to a gate, the newest first."""
        with self._database.read() as tx:
            return of_gate(tx, gate)

    def deeds_to(self, event_id: str) -> tuple[Deed, ...]:
        """Tell what people did to an event, the first first."""
        with self._database.read() as tx:
            return of_subject(tx, event_id)

    def health(self) -> Health:
        """Say how the queue does; cheap enough to be asked every second."""
        with self._database.read() as tx:
            waiting = tx.connection.execute(_WAITING_COUNTS).all()
            troubled = tx.connection.execute(_TROUBLED_COUNTS).all()
            gates = Gates().read(tx)
            workers = count_workers(tx)
        counts = {DeliveryStatus(row[0]): int(row[1]) for row in (*waiting, *troubled)}
        pending = DeliveryStatus.PENDING
        due = next((row[2] for row in waiting if row[0] == pending.value), None)
        age = None if due is None or due > tx.now else tx.now - due
        return Health(
            oldest_due_age=age,
            depth=counts.get(pending, 0),
            by_status=counts,
            gates=gates,
            workers=workers,
        )

    def figures(self, within: timedelta) -> Figures:
        """Count what has not ended well, by route; see `figures.count`."""
        return count(self._database, within)

    def waiting_routes(self) -> set[str]:
        """List the routes for which deliveries are pending or in doubt."""
        with self._database.read() as tx:
            return route_names.waiting(tx)


def _find_event(tx: Tx, event_id: str) -> StoredEvent | None:
    found = select(events).where(events.c.id == event_id)
    row = tx.connection.execute(found).first()
    if row is None:
        return None
    capture = Capture(body=row.body, headers=row.headers, door=row.door)
    return StoredEvent(**_event(row), capture=capture)


def _delivery(row: AnyRow) -> DeliveryRow:
    values = dict(zip(_DELIVERY_NAMES, row, strict=True))
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
