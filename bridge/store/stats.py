"""Counts the ledger for metrics, alerts and the console's overview; reads only.

Everything counted is bounded by what waits, what failed, or one day: states that end
well only grow, and are never counted whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import Integer, case, func, literal_column, select

from bridge.model import Circuit, DeliveryStatus, EventStatus
from bridge.store import circuits
from bridge.store.database import Transaction
from bridge.store.deliveries import routes_with
from bridge.store.schema import (
    ACTIVE,
    IS_FAILED,
    IS_SETTLED,
    IS_UNUSED,
    attempts,
    deliveries,
    events,
)
from bridge.store.store import Store
from bridge.store.types import earliest_id

#: Events without a delivery are counted up to here.
COUNT_LIMIT = 100_000
HOURS = 24
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MINUTE = timedelta(minutes=1)
#: Attempts whose outcomes the overview shows.
_RECENT = 100
#: A message is sent within seconds of its webhook, unless the rate is at its limit.
_FRESH = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The ledger at one moment, for metrics and alerts."""

    at: datetime
    #: Deliveries by route and status, for the states that wait or failed.
    deliveries: Mapping[tuple[str, DeliveryStatus], int]
    #: When the oldest pending delivery of each route is or was due.
    due: Mapping[str, datetime]
    #: Deliveries that died within the time asked for.
    dead_recently: int
    #: Every circuit breaker that was ever used, by name.
    circuits: Mapping[str, Circuit]
    #: Events that wait for a person, at most `COUNT_LIMIT`.
    parked: int
    #: When the last webhook was stored.
    last_webhook_at: datetime | None
    #: How many more events no route matched in the last 24 hours than in the 24 before.
    ignored_growth: int

    def count(self, status: DeliveryStatus) -> int:
        """Count the deliveries with a status, all routes together."""
        return sum(n for (_, found), n in self.deliveries.items() if found is status)

    def overdue(self, route: str) -> timedelta:
        """Tell how long the oldest due delivery of a route has been due."""
        due = self.due.get(route, self.at)
        return max(self.at - due, timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyCounts:
    """The deliveries stored in one hour of the clock, by what they are now."""

    start: datetime
    #: Those that no longer move by themselves, by route and status.
    settled: Mapping[tuple[str, DeliveryStatus], int]
    #: Those that do.
    active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An overview of the last day."""

    at: datetime
    #: The oldest of 24 first; the last has only begun.
    hours: Sequence[HourlyCounts]
    #: HTTP calls of the last minute.
    sends: int
    #: Outcomes of the last 100 attempts, the newest first.
    outcomes: Sequence[str]
    last_attempt_at: datetime | None
    last_webhook_at: datetime | None
    #: Events that made no delivery, by status; each at most `COUNT_LIMIT`.
    unused: Mapping[EventStatus, int]


def collect(store: Store, within: timedelta) -> QueueStats:
    """Count what waits and what failed; reads indexes only.

    Args:
        store: The ledger.
        within: How long ago a delivery may have died to count as dead recently.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    with store.read() as tx:
        number = func.count().label("number")
        group = deliveries.c.status, deliveries.c.route
        due = func.min(deliveries.c.due_at).label("due")
        is_active = deliveries.c.due_at.is_not(None)
        active = select(*group, number, due).where(is_active).group_by(*group)
        is_recent = deliveries.c.updated_at > tx.now - within
        recent = func.sum(case((is_recent, 1), else_=literal_column("0", Integer)))
        failed = select(*group, number, recent.label("recent")).where(IS_FAILED)
        waiting = tx.connection.execute(active).all()
        ended = tx.connection.execute(failed.group_by(*group)).all()
        pending, dead = DeliveryStatus.PENDING.value, DeliveryStatus.DEAD.value
        return QueueStats(
            at=tx.now,
            deliveries={
                (row.route, DeliveryStatus(row.status)): int(row.number)
                for row in (*waiting, *ended)
            },
            due={row.route: row.due for row in waiting if row.status == pending},
            dead_recently=sum(int(row.recent) for row in ended if row.status == dead),
            circuits=circuits.read_all(tx),
            parked=_unused(tx, EventStatus.PARKED),
            last_webhook_at=_last_webhook_at(tx),
            ignored_growth=_growth(tx, EventStatus.IGNORED),
        )


def overview(tx: Transaction) -> Overview:
    """Count the last day by hour, and what came last."""
    low, since = earliest_id(tx.now - _FRESH), tx.now - _MINUTE
    is_recent = attempts.c.delivery_id >= low, attempts.c.started_at >= since
    last = select(attempts.c.outcome, attempts.c.started_at).limit(_RECENT)
    newest = attempts.c.delivery_id.desc(), attempts.c.number.desc()
    recent = tx.connection.execute(last.order_by(*newest)).all()
    return Overview(
        at=tx.now,
        hours=_hours(tx),
        sends=tx.connection.scalar(select(func.count()).where(*is_recent)) or 0,
        outcomes=[row.outcome for row in recent],
        last_attempt_at=max((row.started_at for row in recent), default=None),
        last_webhook_at=_last_webhook_at(tx),
        unused={
            status: _unused(tx, status)
            for status in EventStatus
            if status is not EventStatus.STORED
        },
    )


def _hours(tx: Transaction) -> list[HourlyCounts]:
    last = tx.now.replace(minute=0, second=0, microsecond=0)
    starts = [last - _HOUR * back for back in reversed(range(HOURS))]
    bounds = [earliest_id(start) for start in (*starts, last + _HOUR)]
    totals = _by_hour(tx, bounds, None)
    settled = {
        (route, status): _by_hour(tx, bounds, (route, status))
        for status in DeliveryStatus
        if status.value not in ACTIVE
        for route in routes_with(tx, status)
    }
    hours = []
    for index, start in enumerate(starts):
        counts = {pair: each[index] for pair, each in settled.items() if each[index]}
        active = totals[index] - sum(counts.values())
        hours.append(HourlyCounts(start=start, settled=counts, active=active))
    return hours


def _by_hour(
    tx: Transaction, bounds: Sequence[str], pair: tuple[str, DeliveryStatus] | None
) -> list[int]:
    """Count deliveries between each two ids; all, or the settled ones of a pair.

    One range of an index for each hour: the hour is not a column to group by.
    """
    of_pair = []
    if pair is not None:
        is_it = deliveries.c.status == pair[1].value, deliveries.c.route == pair[0]
        of_pair = [*is_it, IS_SETTLED]
    counts = (
        select(func.count(deliveries.c.id))
        .where(*of_pair, deliveries.c.id >= low, deliveries.c.id < high)
        .scalar_subquery()
        for low, high in pairwise(bounds)
    )
    return [*tx.connection.execute(select(*counts)).one()]


def _last_webhook_at(tx: Transaction) -> datetime | None:
    last = select(events.c.received_at).order_by(events.c.id.desc()).limit(1)
    return tx.connection.scalar(last)


def _growth(tx: Transaction, status: EventStatus) -> int:
    yesterday, today = (earliest_id(tx.now - _DAY * days) for days in (2, 1))
    before = _unused(tx, status, yesterday, today)
    return _unused(tx, status, today) - before


def _unused(
    tx: Transaction,
    status: EventStatus,
    low: str | None = None,
    high: str | None = None,
) -> int:
    """Count events that made no delivery, by their ids, up to `COUNT_LIMIT`."""
    some = select(events.c.id).where(IS_UNUSED, events.c.status == status.value)
    some = some if low is None else some.where(events.c.id >= low)
    some = some if high is None else some.where(events.c.id < high)
    bounded = select(func.count()).select_from(some.limit(COUNT_LIMIT).subquery())
    return tx.connection.scalar(bounded) or 0
