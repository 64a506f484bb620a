"""What is old: blanked first, removed later; what waits or is held stays whole.

A story is an event with its deliveries and their attempts. It is over when nothing of
it waits, and it ages from the last thing that happened to it. Nothing here decides how
old is too old, or how much is done at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import catalogue, deeds
from bridge.store.database import Tx
from bridge.store.schema import attempts, deliveries, events, keys, reports

_FIRST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what was looked at, in the order of ids."""

    #: Events that may be blanked or removed.
    events: tuple[str, ...]
    #: Where the next look begins; None after the last.
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPage:
    """Keys that have expired, among some that were looked at."""

    expired: tuple[tuple[str, str], ...] = field(repr=False)
    #: Where the next look begins; None after the last.
    after: tuple[str, str] | None = field(repr=False)


_of_event = deliveries.c.event_id == events.c.id
#: Nothing has happened to the story since, and nothing of it waits for anybody.
_IS_OVER = and_(
    # Parked ones wait for a fix and a replay, as held deliveries do.
    events.c.status != EventStatus.PARKED.value,
    func.coalesce(events.c.repeated_at, events.c.received_at) <= bindparam("before"),
    ~exists().where(
        _of_event,
        or_(
            deliveries.c.due_at.is_not(None),
            deliveries.c.status == DeliveryStatus.HELD.value,
            deliveries.c.updated_at > bindparam("before"),
        ),
    ),
)
_IS_WHOLE = events.c.blanked_at.is_(None)
_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_LOCK = select(deliveries.c.id).where(deliveries.c.event_id.in_(_ids)).with_for_update()
_BLANK = (
    update(events)
    .where(events.c.id.in_(_ids))
    .values(body=b"", headers={}, blanked_at=bindparam("now"))
)
_BLANK_PAYLOADS = (
    update(attempts)
    .where(
        attempts.c.delivery_id.in_(
            select(deliveries.c.id).where(deliveries.c.event_id.in_(_ids))
        ),
        attempts.c.payload.is_not(None),
    )
    .values(payload=None)
)
_of_ids = select(deliveries.c.id).where(deliveries.c.event_id.in_(_ids))
_FORGET_PEOPLE = (
    update(reports).where(reports.c.delivery_id.in_(_of_ids)).values(person=None)
)
_REMOVE_REPORTS = delete(reports).where(reports.c.delivery_id.in_(_of_ids))
_REMOVE_UNMATCHED = delete(reports).where(
    reports.c.id.in_(
        select(reports.c.id)
        .where(
            reports.c.delivery_id.is_(None),
            reports.c.received_at <= bindparam("before"),
        )
        .order_by(reports.c.id)
        .limit(bindparam("most"))
    )
)
_REMOVE_ATTEMPTS = delete(attempts).where(
    attempts.c.delivery_id.in_(
        select(deliveries.c.id).where(deliveries.c.event_id.in_(_ids))
    )
)
_REMOVE_DELIVERIES = delete(deliveries).where(deliveries.c.event_id.in_(_ids))
_REMOVE = delete(events).where(events.c.id.in_(_ids))
_KEYS = (
    select(keys.c.route, keys.c.key, keys.c.expires_at)
    .where(
        tuple_(keys.c.route, keys.c.key) > tuple_(bindparam("route"), bindparam("key"))
    )
    .order_by(keys.c.route, keys.c.key)
    .limit(bindparam("most"))
)
_REMOVE_KEYS = delete(keys).where(
    tuple_(keys.c.route, keys.c.key).in_(bindparam("pairs", expanding=True)),
    keys.c.expires_at <= bindparam("now"),
)


def old_events(
    tx: Tx, before: datetime, *, after: str | None, most: int, whole: bool
) -> Page:
    """Look at some events that came before a time, the oldest first.

    Args:
        tx: A transaction that reads.
        before: Nothing may have happened to the story since.
        after: The id behind which to begin; None for the beginning.
        most: How many to look at.
        whole: True for those that are not blanked, False for all.
    """
    wanted = and_(_IS_WHOLE, _IS_OVER) if whole else _IS_OVER
    rows = tx.connection.execute(
        select(events.c.id, events.c.received_at, wanted.label("is_wanted"))
        .where(events.c.id > (after or _FIRST))
        .order_by(events.c.id)
        .limit(most),
        {"before": before},
    ).all()
    is_last = len(rows) < most or rows[-1].received_at > before
    return Page(
        events=tuple(row.id for row in rows if row.is_wanted),
        after=None if is_last else rows[-1].id,
    )


def blank(tx: Tx, ids: Sequence[str], before: datetime) -> list[str]:
    """Blank what was received and sent, where the story is still over.

    Returns:
        The events that were blanked.
    """
    chosen = _still(tx, ids, before, _IS_WHOLE)
    if chosen:
        tx.connection.execute(_BLANK, {"ids": chosen, "now": tx.now})
        tx.connection.execute(_BLANK_PAYLOADS, {"ids": chosen})
        tx.connection.execute(_FORGET_PEOPLE, {"ids": chosen})
    return chosen


def remove(tx: Tx, ids: Sequence[str], before: datetime) -> list[str]:
    """Remove whole stories, where they are still over; their keys live on.

    Returns:
        The events that were removed.
    """
    chosen = _still(tx, ids, before)
    if chosen:
        made = tx.connection.execute(_of_ids, {"ids": chosen}).scalars().all()
        catalogue.forget(tx, made)
        deeds.forget(tx, [*made, *chosen])
        several = (_REMOVE_REPORTS, _REMOVE_ATTEMPTS, _REMOVE_DELIVERIES, _REMOVE)
        for statement in several:
            tx.connection.execute(statement, {"ids": chosen})
    return chosen


def remove_unmatched(tx: Tx, before: datetime, most: int) -> int:
    """Remove reports that fit no delivery and came before a time; count them."""
    values = {"before": before, "most": most}
    return tx.connection.execute(_REMOVE_UNMATCHED, values).rowcount


def old_keys(tx: Tx, *, after: tuple[str, str] | None, most: int) -> KeyPage:
    """Look at some keys, in the order of route and key, for those that have expired."""
    route, key = after or ("", "")
    rows = tx.connection.execute(
        _KEYS, {"route": route, "key": key, "most": most}
    ).all()
    return KeyPage(
        expired=tuple(
            (row.route, row.key)
            for row in rows
            if row.expires_at is not None and row.expires_at <= tx.now
        ),
        after=(rows[-1].route, rows[-1].key) if len(rows) == most else None,
    )


def remove_keys(tx: Tx, pairs: Sequence[tuple[str, str]]) -> int:
    """Remove keys, unless somebody has taken one over meanwhile; count them."""
    values = {"pairs": list(pairs), "now": tx.now}
    return tx.connection.execute(_REMOVE_KEYS, values).rowcount


def _still(
    tx: Tx, ids: Sequence[str], before: datetime, *more: ColumnElement[bool]
) -> list[str]:
    """Find which stories are over now that nobody else can change them."""
    tx.connection.execute(_LOCK, {"ids": list(ids)}).all()
    found = select(events.c.id).where(events.c.id.in_(_ids), _IS_OVER, *more)
    values = {"ids": list(ids), "before": before}
    return list(
        tx.connection.execute(
            found.with_for_update(of=events, skip_locked=True), values
        ).scalars()
    )
