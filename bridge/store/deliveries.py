"""Lists, finds and reads deliveries; changes none of them.

A list is ordered by id, the newest first. Every filter and every search has an index
that yields either few ids or ids in that order, so that a page costs about as much as
the rows it shows, however large the ledger is.
"""

import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from bridge.model import (
    Attempt,
    AuditEntry,
    Delivery,
    DeliveryFilter,
    DeliveryStatus,
    StoredEvent,
    StoredReceipt,
    destination_circuit,
    route_circuit,
)
from bridge.store import actions, circuits, events, receipts
from bridge.store import schema as tables
from bridge.store.database import Transaction, as_type, chunks, duration_of
from bridge.store.schema import (
    ACTIVE,
    FAILED,
    IS_ACTIVE,
    IS_FAILED,
    IS_SETTLED,
    attempts,
    deliveries,
)
from bridge.store.store import Store
from bridge.store.types import NO_ID, as_id, begins_with, earliest_id

#: A condition that so few rows meet is answered through its own index and sorted.
_FEW = 5_000
#: Deliveries of one page of the whole ledger.
_PAGE = 5_000
#: Ids carry the clock of the machine that made them. It may be wrong by so much before
#: a filter by time misses a delivery.
_CLOCK_ERROR = timedelta(days=1)
_FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = (
    deliveries.c.recipient,
    deliveries.c.customer_id,
    deliveries.c.code,
    deliveries.c.campaign,
    deliveries.c.key,
)
_IDS = (deliveries.c.id, deliveries.c.event_id)
#: Vendor's ids that business keys contain, and what precedes them there.
_KEY_PREFIXES = {"pub_": "pub:"}
#: Hexadecimal digits of an id, and the fewest that are searched as its beginning.
_ID_DIGITS, _FEWEST_DIGITS = 32, 8

_COLUMNS = [column for column in deliveries.c if column.name != "token"]
_ids = select(deliveries.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail:
    """One delivery with its whole history."""

    delivery: Delivery
    event: StoredEvent
    #: In the order they were made.
    attempts: tuple[Attempt, ...]
    #: In the order they came.
    receipts: tuple[StoredReceipt, ...]
    #: What people did to the delivery or its event, the first first.
    audit: tuple[AuditEntry, ...]


def list(  # noqa: A001 - read as deliveries.list
    tx: Transaction, wanted: DeliveryFilter
) -> builtins.list[Delivery]:
    """List the newest deliveries that fit, at most `wanted.limit`."""
    return get_many(tx, find_ids(tx, wanted))


def iter_all(store: Store, since: datetime) -> Iterator[Delivery]:
    """Yield every delivery stored at or after a time, the newest first.

    In pages, each in a transaction of its own: a ledger of millions is neither held in
    memory nor blocked.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    wanted = DeliveryFilter(since=since, limit=_PAGE)
    while True:
        with store.read() as tx:
            page = list(tx, wanted)
        yield from page
        if len(page) < _PAGE:
            return
        wanted = replace(wanted, after=page[-1].id)


def get_many(tx: Transaction, ids: Iterable[str]) -> builtins.list[Delivery]:
    """Read deliveries by their ids, the newest first; unknown ids are left out."""
    found: builtins.list[Delivery] = []
    known = {one for one in map(as_id, ids) if one is not None}
    for chunk in chunks(sorted(known, reverse=True)):
        rows = select(*_COLUMNS).where(deliveries.c.id.in_(chunk))
        newest = rows.order_by(deliveries.c.id.desc())
        found += (as_type(row, Delivery) for row in tx.connection.execute(newest))
    return found


def detail(tx: Transaction, delivery_id: str) -> DeliveryDetail | None:
    """Read one delivery with its event, attempts, receipts and audit entries."""
    known = as_id(delivery_id)
    if known is None:
        return None
    found = select(*_COLUMNS).where(deliveries.c.id == known)
    row = tx.connection.execute(found).first()
    event = None if row is None else events.get(tx, row.event_id)
    if row is None or event is None:
        return None
    made = select(attempts).where(attempts.c.delivery_id == known)
    calls = tx.connection.execute(made.order_by(attempts.c.number))
    audit = (*actions.of_target(tx, row.event_id), *actions.of_target(tx, known))
    return DeliveryDetail(
        delivery=as_type(row, Delivery),
        event=event,
        attempts=tuple(as_type(x, Attempt, duration=duration_of(x)) for x in calls),
        receipts=tuple(receipts.of_delivery(tx, known)),
        audit=tuple(sorted(audit, key=lambda entry: entry.at)),
    )


def statuses(tx: Transaction, ids: Iterable[str]) -> dict[str, DeliveryStatus]:
    """Look up the status of deliveries; ids without a delivery are left out."""
    found: dict[str, DeliveryStatus] = {}
    for chunk in chunks({one for one in map(as_id, ids) if one is not None}):
        rows = select(deliveries.c.id, deliveries.c.status)
        for row in tx.connection.execute(rows.where(deliveries.c.id.in_(chunk))):
            found[row.id] = DeliveryStatus(row.status)
    return found


def of_event(tx: Transaction, event_id: str) -> builtins.list[Delivery]:
    """List the deliveries of one event in the order they were made."""
    made = select(*_COLUMNS).where(deliveries.c.event_id == (as_id(event_id) or NO_ID))
    rows = tx.connection.execute(made.order_by(deliveries.c.id))
    return [as_type(row, Delivery) for row in rows]


def find_ids(tx: Transaction, wanted: DeliveryFilter) -> builtins.list[str]:
    """Find the ids of the newest deliveries that fit, at most `wanted.limit`."""
    if not wanted.search:
        return _newest(tx, wanted)
    found: set[str] = set()
    for by_index, by_row in _meanings(wanted.search):
        some = _ids.where(by_index).limit(_FEW + 1)
        ids = sorted(tx.connection.execute(some).scalars(), reverse=True)
        if len(ids) > _FEW:
            # So many fit that those of a page are near the end of the list.
            found.update(_newest(tx, wanted, by_row))
        else:
            found.update(_fitting(tx, wanted, ids))
    return sorted(found, reverse=True)[: wanted.limit]


def waiting_routes(tx: Transaction) -> set[str]:
    """List the routes that have pending or in-doubt deliveries."""
    waiting = DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT
    return {route for status in waiting for route in routes_with(tx, status)}


def routes_with(tx: Transaction, status: DeliveryStatus) -> builtins.list[str]:
    """List the routes that have deliveries with a status.

    Steps through an index from one route to the next; `SELECT DISTINCT` would read
    every delivery.
    """
    moves = IS_ACTIVE if status.value in ACTIVE else IS_SETTLED
    is_wanted = deliveries.c.status == status.value, moves
    first = select(func.min(deliveries.c.route).label("route")).where(*is_wanted)
    step = first.cte("routes", recursive=True)
    following = select(func.min(deliveries.c.route)).where(
        *is_wanted, deliveries.c.route > step.c.route
    )
    more = select(following.correlate(step).scalar_subquery())
    step = step.union_all(more.where(step.c.route.is_not(None)))
    found = select(step.c.route).where(step.c.route.is_not(None))
    return [*tx.connection.execute(found).scalars()]


def count_due(tx: Transaction) -> int:
    """Count the deliveries due now."""
    is_due = deliveries.c.status == DeliveryStatus.PENDING.value, IS_ACTIVE
    due = select(func.count()).where(*is_due, deliveries.c.due_at <= tx.now)
    return tx.connection.scalar(due) or 0


def oldest_due_age(tx: Transaction) -> timedelta | None:
    """Find how long a delivery has been due that no circuit breaker holds back.

    Reads indexes only, except one row for each route that waits; None where none is.
    """
    found = circuits.read_all(tx)
    stopped = {name for name, one in found.items() if not one.is_running}
    times = []
    for route in routes_with(tx, DeliveryStatus.PENDING):
        first = select(deliveries.c.due_at, deliveries.c.destination).where(
            deliveries.c.status == DeliveryStatus.PENDING.value,
            deliveries.c.route == route,
            deliveries.c.due_at <= tx.now,
        )
        oldest = first.order_by(deliveries.c.due_at).limit(1)
        for row in tx.connection.execute(oldest):
            names = {route_circuit(route), destination_circuit(row.destination)}
            if stopped.isdisjoint(names):
                times.append(row.due_at)
    return tx.now - min(times) if times else None


def _meanings(
    term: str,
) -> Iterator[tuple[ColumnElement[bool], ColumnElement[bool]]]:
    """Yield what a search term may be: a condition for its index, and one for a row."""
    known = as_id(term)
    if known is not None:
        for column in _IDS:
            yield column == known, column == known
        return
    words = [term, *(to + term for of, to in _KEY_PREFIXES.items() if term[:4] == of)]
    for word in words:
        for column in _TEXTS:
            # Through a function no index is chosen for it.
            text = func.coalesce(column, "")
            yield begins_with(column, word), begins_with(text, word)
    more, webhooks = tables.delivery_codes, tables.events
    is_code = begins_with(more.c.code, term)
    further = deliveries.c.id.in_(select(more.c.delivery_id).where(is_code))
    is_sent = webhooks.c.transport_key == term
    webhook = deliveries.c.event_id.in_(select(webhooks.c.id).where(is_sent))
    begun = _id_range(term)
    for condition in (further, webhook, *begun):
        yield condition, condition


def _id_range(term: str) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for ids that begin with the digits a person typed."""
    digits = term.strip().lower().replace("-", "")
    if re.fullmatch(rf"[0-9a-f]{{{_FEWEST_DIGITS},{_ID_DIGITS}}}", digits):
        low, high = (str(UUID(digits.ljust(_ID_DIGITS, end))) for end in "0f")
        for column in _IDS:
            yield column.between(low, high)


def _fitting(
    tx: Transaction, wanted: DeliveryFilter, ids: Sequence[str]
) -> builtins.list[str]:
    """Keep the newest of the ids that pass the other filters."""
    found: builtins.list[str] = []
    for chunk in chunks(ids):
        fits = _ids.where(deliveries.c.id.in_(chunk), *_filters(wanted))
        newest = fits.order_by(deliveries.c.id.desc()).limit(wanted.limit)
        found += tx.connection.execute(newest).scalars()
        if len(found) >= wanted.limit:
            break
    return found


def _newest(
    tx: Transaction, wanted: DeliveryFilter, *conditions: ColumnElement[bool]
) -> builtins.list[str]:
    found: set[str] = set()
    for scan in _scans(tx, wanted.status, wanted.route):
        fits = scan.where(*_filters(wanted), *conditions)
        newest = fits.order_by(deliveries.c.id.desc()).limit(wanted.limit)
        found.update(tx.connection.execute(newest).scalars())
    return sorted(found, reverse=True)[: wanted.limit]


def _scans(
    tx: Transaction, status: DeliveryStatus | None, route: str | None
) -> Iterator[Select[Any]]:
    """Yield queries that together list a status and a route by index, in id order."""
    if status is None and route is None:
        yield _ids
        return
    for one in DeliveryStatus if status is None else (status,):
        is_it = deliveries.c.status == one.value
        if one.value in ACTIVE:
            active = _ids.where(is_it, IS_ACTIVE)
            # The deliveries of a long queue are among the newest of all.
            yield active if _is_few(tx, active) else _ids
        elif one.value in FAILED and route is None:
            yield _ids.where(is_it, IS_FAILED)
        else:
            for name in routes_with(tx, one) if route is None else [route]:
                yield _ids.where(is_it, deliveries.c.route == name, IS_SETTLED)


def _is_few(tx: Transaction, scan: Select[Any]) -> bool:
    some = scan.limit(_FEW + 1).subquery()
    return (tx.connection.scalar(select(func.count()).select_from(some)) or 0) <= _FEW


def _filters(wanted: DeliveryFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions that a row must meet whichever index found it."""
    if wanted.after is not None:
        yield deliveries.c.id < (as_id(wanted.after) or NO_ID)
    if wanted.since is not None:
        since = max(wanted.since, _FIRST_TIME + _CLOCK_ERROR)
        yield deliveries.c.id >= earliest_id(since - _CLOCK_ERROR)
        yield deliveries.c.created_at >= wanted.since
    if wanted.before is not None:
        before = min(wanted.before, datetime.max.replace(tzinfo=UTC) - _CLOCK_ERROR)
        yield deliveries.c.id < earliest_id(before + _CLOCK_ERROR)
        yield deliveries.c.created_at < wanted.before
    if wanted.route is not None:
        yield deliveries.c.route == wanted.route
    if wanted.status is not None:
        # Through a function, so that no index is chosen for it.
        yield func.coalesce(deliveries.c.status, "") == wanted.status.value
