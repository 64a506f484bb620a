"""What a person sees first: the last day, the last minute, and what came last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import route_names
from bridge.store.database import Tx
from bridge.store.schema import (
    IS_SETTLED,
    IS_UNUSED,
    MOVING,
    attempts,
    deliveries,
    earliest_id,
    events,
)

HOURS = 24
#: Of what is counted but bounded, no more than this.
MANY = 10_000
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
#: Attempts looked at to tell how the other side does.
_RECENT = 100
#: A message is sent within seconds of its webhook, or the pace is at its limit anyway.
_FRESH = timedelta(minutes=3)

_BETWEEN = (
    deliveries.c.id >= bindparam("low", type_=deliveries.c.id.type),
    deliveries.c.id < bindparam("high", type_=deliveries.c.id.type),
)
_ALL = select(func.count(deliveries.c.id)).where(*_BETWEEN)
_SETTLED = select(func.count(deliveries.c.id)).where(
    deliveries.c.status == bindparam("of_status"),
    deliveries.c.route == bindparam("of_route"),
    IS_SETTLED,
    *_BETWEEN,
)
_SENDS = select(func.count()).where(
    attempts.c.delivery_id >= bindparam("low", type_=attempts.c.delivery_id.type),
    attempts.c.started_at >= bindparam("since", type_=attempts.c.started_at.type),
)
_OUTCOMES = (
    select(attempts.c.outcome, attempts.c.started_at)
    .order_by(attempts.c.delivery_id.desc(), attempts.c.number.desc())
    .limit(_RECENT)
)
_LAST_EVENT = select(events.c.received_at).order_by(events.c.id.desc()).limit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What arrived in one hour of the clock, and where it stands now."""

    start: datetime
    #: What no longer moves, by route and state.
    settled: Mapping[tuple[str, DeliveryStatus], int]
    #: What still does.
    moving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The ledger at one moment, as far as it is quickly told."""

    at: datetime
    #: The oldest first; the last has only begun.
    hours: Sequence[Hour]
    #: Calls of the last minute.
    sends: int
    #: Outcomes of the newest attempts, the newest first.
    outcomes: Sequence[str]
    last_attempt_at: datetime | None
    last_webhook_at: datetime | None
    #: Events that made no delivery, by state; at most `MANY` of each.
    unused: Mapping[EventStatus, int]


def glance(tx: Tx) -> Glance:
    """Look at a ledger of any size."""
    values = {"low": earliest_id(tx.now - _FRESH), "since": tx.now - _MINUTE}
    recent = tx.connection.execute(_OUTCOMES).all()
    return Glance(
        at=tx.now,
        hours=_hours(tx),
        sends=tx.connection.scalar(_SENDS, values) or 0,
        outcomes=[row.outcome for row in recent],
        last_attempt_at=max((row.started_at for row in recent), default=None),
        last_webhook_at=tx.connection.scalar(_LAST_EVENT),
        unused={one: _unused(tx, one) for one in _unused_states()},
    )


def _hours(tx: Tx) -> list[Hour]:
    last = tx.now.replace(minute=0, second=0, microsecond=0)
    starts = [last - _HOUR * back for back in reversed(range(HOURS))]
    pairs = [
        (route, status)
        for status in DeliveryStatus
        if status not in MOVING
        for route in sorted(route_names.settled(tx, status))
        if _count(tx, route, status, starts[0], last + _HOUR)
    ]
    return [_hour(tx, start, pairs) for start in starts]


def _hour(tx: Tx, start: datetime, pairs: Sequence[tuple[str, DeliveryStatus]]) -> Hour:
    end = start + _HOUR
    counts = {(route, one): _count(tx, route, one, start, end) for route, one in pairs}
    found = {pair: count for pair, count in counts.items() if count}
    values = {"low": earliest_id(start), "high": earliest_id(end)}
    total = tx.connection.scalar(_ALL, values) or 0
    return Hour(start=start, settled=found, moving=total - sum(found.values()))


def _count(
    tx: Tx, route: str, status: DeliveryStatus, start: datetime, end: datetime
) -> int:
    values = {
        "of_status": status.value,
        "of_route": route,
        "low": earliest_id(start),
        "high": earliest_id(end),
    }
    return tx.connection.scalar(_SETTLED, values) or 0


def _unused_states() -> tuple[EventStatus, ...]:
    return tuple(one for one in EventStatus if one is not EventStatus.STORED)


def _unused(tx: Tx, status: EventStatus) -> int:
    some = select(events.c.id).where(IS_UNUSED, events.c.status == status.value)
    bounded = select(func.count()).select_from(some.limit(MANY).subquery())
    return tx.connection.scalar(bounded) or 0
