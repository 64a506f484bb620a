"""Which deliveries fit a filter, the newest first, without a walk over the ledger.

What no longer moves is found through an index that holds nothing else; what moves, by
way of the queue's; what is searched, through the catalogue. Each way yields ids, and
the ways are merged.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from bridge.model import DeliveryStatus
from bridge.store import catalogue, route_names
from bridge.store.answers import DeliveryFilter
from bridge.store.database import Tx
from bridge.store.ids import NO_ID, as_id, earliest_id
from bridge.store.schema import (
    CHUNK,
    IS_SETTLED,
    IS_TROUBLED,
    MOVING,
    TROUBLED,
    deliveries,
)
from bridge.store.searching import matching, of_ids

#: So many are read in no time.
_FEW = 5_000
#: An id is made before its transaction begins, at most so long.
_BETWEEN = timedelta(minutes=1)
#: No id tells of a time before it.
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)

_ids = select(deliveries.c.id)


def ids(tx: Tx, wanted: DeliveryFilter) -> list[str]:
    """Find the ids of the newest deliveries that fit, at most `wanted.limit`."""
    ways = list(_listed(tx, wanted.status, wanted.route))
    if wanted.search is None:
        return _merged(tx, wanted, ways)
    is_filtered = wanted.status is not None or wanted.route is not None
    if is_filtered and all(_is_few(tx, way) for way in ways):
        is_meant = matching(wanted.search)
        return _merged(tx, wanted, [way.where(is_meant) for way in ways])
    return _searched(tx, wanted, wanted.search)


def _listed(
    tx: Tx, status: DeliveryStatus | None, route: str | None
) -> Iterator[Select[Any]]:
    """List the ways to deliveries in a state, on a route; all in the order of ids."""
    if status is None and route is None:
        yield _ids
        return
    for one in DeliveryStatus if status is None else (status,):
        is_so = deliveries.c.status == one.value
        if one in MOVING:
            moving = _ids.where(is_so, deliveries.c.due_at.is_not(None))
            # Those of a long queue are among the newest anyway.
            yield moving if _is_few(tx, moving) else _ids.where(_is_status(one))
        elif one in TROUBLED and route is None:
            yield _ids.where(is_so, IS_TROUBLED)
        else:
            names = route_names.settled(tx, one) if route is None else [route]
            for name in names:
                yield _ids.where(is_so, deliveries.c.route == name, IS_SETTLED)


def _searched(tx: Tx, wanted: DeliveryFilter, term: str) -> list[str]:
    found = set(_merged(tx, wanted, [_ids.where(one) for one in of_ids(term)]))
    if as_id(term) is None:
        fresh = _ids.where(matching(term))
        end = as_id(catalogue.end(tx))
        if end is not None:
            fresh = fresh.where(deliveries.c.id > end)
        found |= set(_merged(tx, wanted, [fresh]))
        for noted in catalogue.find(tx, term, wanted.after):
            if len(found) >= wanted.limit:
                break
            found |= set(_fitting(tx, wanted, term, noted))
    return sorted(found, reverse=True)[: wanted.limit]


def _fitting(
    tx: Tx, wanted: DeliveryFilter, term: str, noted: Sequence[str]
) -> list[str]:
    """Keep those of the noted that fit, the newest as far as they are wanted."""
    several = sorted(set(noted), reverse=True)
    fitting: list[str] = []
    for start in range(0, len(several), CHUNK):
        chunk = deliveries.c.id.in_(several[start : start + CHUNK])
        fitting += _merged(tx, wanted, [_ids.where(chunk, matching(term))])
        if len(fitting) >= wanted.limit:
            break
    return fitting


def _merged(tx: Tx, wanted: DeliveryFilter, ways: Sequence[Select[Any]]) -> list[str]:
    rest = list(_rest(wanted))
    found: set[str] = set()
    for way in ways:
        newest = way.where(*rest).order_by(deliveries.c.id.desc())
        found |= set(tx.connection.execute(newest.limit(wanted.limit)).scalars())
    return sorted(found, reverse=True)[: wanted.limit]


def _rest(wanted: DeliveryFilter) -> Iterator[ColumnElement[bool]]:
    """Ask what every way asks beside its own question."""
    if wanted.after is not None:
        yield deliveries.c.id < (as_id(wanted.after) or NO_ID)
    if wanted.since is not None:
        yield deliveries.c.id >= earliest_id(max(wanted.since, _FIRST) - _BETWEEN)
        yield deliveries.c.created_at >= wanted.since
    if wanted.before is not None:
        yield deliveries.c.id < earliest_id(wanted.before)
        yield deliveries.c.created_at < wanted.before
    if wanted.route is not None:
        yield deliveries.c.route == wanted.route
    if wanted.status is not None:
        yield _is_status(wanted.status)


def _is_few(tx: Tx, way: Select[Any]) -> bool:
    some = way.limit(_FEW + 1).subquery()
    return (tx.connection.scalar(select(func.count()).select_from(some)) or 0) <= _FEW


def _is_status(status: DeliveryStatus) -> ColumnElement[bool]:
    """Ask for a state without leading to an index: another question does that."""
    return func.coalesce(deliveries.c.status, "") == status.value
