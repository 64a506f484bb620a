"""Redacts and deletes old events with all that belongs to them, some at a time.

An event with its deliveries and their attempts is finished when nothing of it waits; it
ages from the last thing that happened to it. The caller decides what is too old and how
much is done at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import delete as delete_rows

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import actions
from bridge.store.database import Transaction
from bridge.store.schema import (
    attempts,
    deliveries,
    delivery_codes,
    events,
    keys,
    leases,
    receipts,
)
from bridge.store.types import NO_ID

#: An event's id, or a key's route and key.
_Id = TypeVar("_Id")
_IS_WHOLE = events.c.redacted_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[_Id]):
    """Some of the rows looked at, in the order of their ids."""

    #: Those that may be redacted or deleted.
    ids: tuple[_Id, ...] = field(repr=False)
    #: Where the next look begins; None after the last.
    after: _Id | None = field(repr=False)


def count_events(tx: Transaction) -> int:
    """Count all events; walks over an index."""
    return tx.connection.scalar(select(func.count(events.c.id))) or 0


def last_sweep(tx: Transaction, lease: str) -> datetime | None:
    """Read until when the lease of the last sweep was held; None before the first."""
    until = select(leases.c.expires_at).where(leases.c.name == lease)
    return tx.connection.scalar(until)


def old_events(
    tx: Transaction, before: datetime, *, after: str | None, limit: int, is_whole: bool
) -> Page[str]:
    """Look at some events that were received before a time, the oldest first.

    Args:
        tx: A transaction that reads.
        before: Nothing may have happened to the event since.
        after: The id after which to begin; None for the beginning.
        limit: How many to look at.
        is_whole: True for those that are not redacted, False for all.
    """
    wanted = and_(_IS_WHOLE, _is_over(before)) if is_whole else _is_over(before)
    looked_at = (
        select(events.c.id, events.c.received_at, wanted.label("is_wanted"))
        .where(events.c.id > (after or NO_ID))
        .order_by(events.c.id)
        .limit(limit)
    )
    rows = tx.connection.execute(looked_at).all()
    is_last = len(rows) < limit or rows[-1].received_at > before
    return Page(
        ids=tuple(row.id for row in rows if row.is_wanted),
        after=None if is_last else rows[-1].id,
    )


def redact(tx: Transaction, ids: Sequence[str], before: datetime) -> int:
    """Empty bodies, headers and payloads of events that are still finished.

    Returns:
        How many events were redacted.
    """
    chosen = _still_over(tx, ids, before, _IS_WHOLE)
    if chosen:
        made = _made_by(tx, chosen)
        values = {"body": b"", "headers": {}, "redacted_at": tx.now}
        emptied = update(events).where(events.c.id.in_(chosen)).values(values)
        payloads = attempts.c.delivery_id.in_(made), attempts.c.payload.is_not(None)
        people = update(receipts).where(receipts.c.delivery_id.in_(made))
        tx.connection.execute(emptied)
        tx.connection.execute(update(attempts).where(*payloads).values(payload=None))
        tx.connection.execute(people.values(person=None))
    return len(chosen)


def delete(tx: Transaction, ids: Sequence[str], before: datetime) -> int:
    """Delete events that are still finished and all that belongs to them but keys.

    Returns:
        How many events were deleted.
    """
    chosen = _still_over(tx, ids, before)
    if chosen:
        made = _made_by(tx, chosen)
        actions.delete_entries(tx, [*made, *chosen])
        for table in (receipts, attempts, delivery_codes):
            gone = delete_rows(table).where(table.c.delivery_id.in_(made))
            tx.connection.execute(gone)
        tx.connection.execute(delete_rows(deliveries).where(deliveries.c.id.in_(made)))
        tx.connection.execute(delete_rows(events).where(events.c.id.in_(chosen)))
    return len(chosen)


def delete_unmatched_receipts(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete receipts that fit no delivery and came before a time; count them."""
    is_old = receipts.c.delivery_id.is_(None), receipts.c.received_at <= before
    oldest = select(receipts.c.id).where(*is_old).order_by(receipts.c.id).limit(limit)
    gone = delete_rows(receipts).where(receipts.c.id.in_(oldest))
    return tx.connection.execute(gone).rowcount


def expired_keys(
    tx: Transaction, *, after: tuple[str, str] | None, limit: int
) -> Page[tuple[str, str]]:
    """Look at some keys, in the order of route and key, for those that have expired."""
    place = tuple_(keys.c.route, keys.c.key)
    looked_at = (
        select(keys.c.route, keys.c.key, keys.c.expires_at)
        .where(place > tuple_(*(after or ("", ""))))
        .order_by(keys.c.route, keys.c.key)
        .limit(limit)
    )
    rows = tx.connection.execute(looked_at).all()
    return Page(
        ids=tuple(
            (row.route, row.key)
            for row in rows
            if row.expires_at is not None and row.expires_at <= tx.now
        ),
        after=(rows[-1].route, rows[-1].key) if len(rows) == limit else None,
    )


def delete_keys(tx: Transaction, pairs: Sequence[tuple[str, str]]) -> int:
    """Delete expired keys that no delivery has taken over meanwhile; count them."""
    is_one = tuple_(keys.c.route, keys.c.key).in_([*pairs])
    gone = delete_rows(keys).where(is_one, keys.c.expires_at <= tx.now)
    return tx.connection.execute(gone).rowcount


def _is_over(before: datetime) -> ColumnElement[bool]:
    """Build the condition that an event waits for nothing, and is older than a time."""
    is_used_later = exists().where(
        deliveries.c.event_id == events.c.id,
        or_(
            deliveries.c.due_at.is_not(None),
            deliveries.c.status == DeliveryStatus.HELD.value,
            deliveries.c.updated_at > before,
        ),
    )
    return and_(
        # Parked events wait for a fix and a replay, as held deliveries do.
        events.c.status != EventStatus.PARKED.value,
        func.coalesce(events.c.repeated_at, events.c.received_at) <= before,
        ~is_used_later,
    )


def _made_by(tx: Transaction, ids: Sequence[str]) -> list[str]:
    made = select(deliveries.c.id).where(deliveries.c.event_id.in_(ids))
    return [*tx.connection.execute(made).scalars()]


def _still_over(
    tx: Transaction, ids: Sequence[str], before: datetime, *more: ColumnElement[bool]
) -> list[str]:
    """Choose the events that are finished, and lock them with their deliveries."""
    made = select(deliveries.c.id).where(deliveries.c.event_id.in_([*ids]))
    tx.connection.execute(made.order_by(deliveries.c.id).with_for_update()).all()
    found = select(events.c.id).where(events.c.id.in_([*ids]), _is_over(before), *more)
    locked = found.with_for_update(of=events, skip_locked=True)
    return [*tx.connection.execute(locked).scalars()]
