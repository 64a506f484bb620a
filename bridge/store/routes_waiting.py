"""Which routes have deliveries waiting, without reading what waits."""

from typing import Any

from sqlalchemy import Select, func, select, union

from bridge.model import DeliveryStatus
from bridge.store.database import Tx
from bridge.store.schema import deliveries


def _routes(status: DeliveryStatus) -> Select[Any]:
    """Step from one route's name to the next in the queue's index.

    `SELECT DISTINCT` would walk over every waiting row.
    """
    first = deliveries.alias()
    step = (
        select(func.min(first.c.route).label("route"))
        .where(first.c.status == status.value, first.c.due_at.is_not(None))
        .cte(f"routes_{status.value}", recursive=True)
    )
    after = deliveries.alias()
    following = (
        select(func.min(after.c.route))
        .where(
            after.c.status == status.value,
            after.c.due_at.is_not(None),
            after.c.route > step.c.route,
        )
        .scalar_subquery()
    )
    step = step.union_all(select(following).where(step.c.route.is_not(None)))
    return select(step.c.route).where(step.c.route.is_not(None))


_WAITING = union(_routes(DeliveryStatus.PENDING), _routes(DeliveryStatus.IN_DOUBT))


def names(tx: Tx) -> set[str]:
    """List the routes for which deliveries are pending or in doubt."""
    return set(tx.connection.execute(_WAITING).scalars())
