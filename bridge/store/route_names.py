"""Which routes have deliveries in a state, without reading the deliveries."""

from functools import cache
from typing import Any

from sqlalchemy import Select, func, select, union

from bridge.model import DeliveryStatus
from bridge.store.database import Tx
from bridge.store.schema import deliveries


def waiting(tx: Tx) -> set[str]:
    """List the routes for which deliveries are pending or in doubt."""
    return set(tx.connection.execute(_WAITING).scalars())


def settled(tx: Tx, status: DeliveryStatus) -> set[str]:
    """List the routes that have deliveries in a state in which nothing moves."""
    return set(tx.connection.execute(_routes(status, is_moving=False)).scalars())


@cache
def _routes(status: DeliveryStatus, *, is_moving: bool) -> Select[Any]:
    """Step from one route's name to the next in an index.

    `SELECT DISTINCT` would walk over every row.
    """
    first, after = deliveries.alias(), deliveries.alias()
    due, next_due = first.c.due_at, after.c.due_at
    step = (
        select(func.min(first.c.route).label("route"))
        .where(
            first.c.status == status.value,
            due.is_not(None) if is_moving else due.is_(None),
        )
        .cte(f"routes_{status.value}", recursive=True)
    )
    following = (
        select(func.min(after.c.route))
        .where(
            after.c.status == status.value,
            next_due.is_not(None) if is_moving else next_due.is_(None),
            after.c.route > step.c.route,
        )
        .scalar_subquery()
    )
    step = step.union_all(select(following).where(step.c.route.is_not(None)))
    return select(step.c.route).where(step.c.route.is_not(None))


_WAITING = union(
    _routes(DeliveryStatus.PENDING, is_moving=True),
    _routes(DeliveryStatus.IN_DOUBT, is_moving=True),
)
