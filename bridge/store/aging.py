"""A message that waited at a closed gate has not aged."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, case, update

from bridge.model import Gate
from bridge.store.columns import Span, Utc
from bridge.store.database import Tx
from bridge.store.schema import deliveries

#: Name of the destination's gate.
DESTINATION = "destination"
#: What a route's gate is called before the route's name.
ROUTE = "route:"


def make_younger(
    tx: Tx, name: str, closed_at: datetime, all_gates: Mapping[str, Gate]
) -> None:
    """Take the time a gate was closed off the age of what waited there.

    Where a delivery's other gate is still closed, the opening of that one will take off
    the time since it closed; only the time before counts here, so none counts twice.
    """
    if name.startswith(ROUTE):
        other = all_gates.get(DESTINATION)
        until = tx.now if other is None else other.closed_at or tx.now
        is_here = deliveries.c.route == name.removeprefix(ROUTE)
        _shift(tx, closed_at, until, is_here)
        return
    shut = {
        gate.name.removeprefix(ROUTE): gate.closed_at
        for gate in all_gates.values()
        if gate.name.startswith(ROUTE) and gate.closed_at is not None
    }
    _shift(tx, closed_at, tx.now, deliveries.c.route.not_in(sorted(shut)))
    for route, until in shut.items():
        _shift(tx, closed_at, until, deliveries.c.route == route)


def _shift(
    tx: Tx, closed_at: datetime, until: datetime, where: ColumnElement[bool]
) -> None:
    """Move the start of the age on by what of the closed time lay after it."""
    if until <= closed_at:
        return
    since = deliveries.c.aging_since
    end = bindparam("until", until, Utc)
    moved = case(
        (since >= end, since),
        (since >= bindparam("closed_at", closed_at, Utc), end),
        else_=since + bindparam("span", until - closed_at, Span),
    )
    tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.due_at.is_not(None), where)
        .values(aging_since=moved)
    )
