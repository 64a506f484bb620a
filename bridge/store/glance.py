"""What a person sees first: the last day, the last minute, and what came last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import route_names
from bridge.store.database import Tx
from bridge.store.ids import earliest_id
from bridge.store.schema import (
    IS_SETTLED,
    IS_UNUSED,
    MOVING,
    attempts,
    deliveries,
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


def _by_hour(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Count in all hours at once: asking for each alone takes longer than counting."""
    return select(
        *(
            select(func.count(deliveries.c.id))
            .where(*conditions, deliveries.c.id >= low, deliveries.c.id < high)
            .scalar_subquery()
            for low, high in pairwise(_BOUNDS)
        )
    )


_BOUNDS = [
    bindparam(f"bound_{number}", type_=deliveries.c.id.type)
    for number in range(HOURS + 1)
]
_ALL = _by_hour()
_SETTLED = _by_hour(
    deliveries.c.status == bindparam("of_status"),
    deliveries.c.route == bindparam("of_route"),
    IS_SETTLED,
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
    ends = [earliest_id(start) for start in (*starts, last + _HOUR)]
    bounds = {one.key: end for one, end in zip(_BOUNDS, ends, strict=True)}
    settled = {
        (route, status): _counts(tx, _SETTLED, bounds | _of(route, status))
        for status in DeliveryStatus
        if status not in MOVING
        for route in sorted(route_names.settled(tx, status))
    }
    totals = _counts(tx, _ALL, bounds)
    return [
        _hour(start, {pair: counts[index] for pair, counts in settled.items()}, total)
        for index, (start, total) in enumerate(zip(starts, totals, strict=True))
    ]


def _of(route: str, status: DeliveryStatus) -> dict[str, str]:
    return {"of_route": route, "of_status": status.value}


def _counts(tx: Tx, statement: Select[Any], values: dict[str, str]) -> list[int]:
    return list(tx.connection.execute(statement, values).one())


def _hour(
    start: datetime, counts: Mapping[tuple[str, DeliveryStatus], int], total: int
) -> Hour:
    found = {pair: count for pair, count in counts.items() if count}
    return Hour(start=start, settled=found, moving=total - sum(found.values()))


def _unused_states() -> tuple[EventStatus, ...]:
    return tuple(one for one in EventStatus if one is not EventStatus.STORED)


def _unused(tx: Tx, status: EventStatus) -> int:
    some = select(events.c.id).where(IS_UNUSED, events.c.status == status.value)
    bounded = select(func.count()).select_from(some.limit(MANY).subquery())
    return tx.connection.scalar(bounded) or 0
