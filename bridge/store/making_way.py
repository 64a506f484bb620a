"""What has waited for long makes way for what is fresh, and goes on as a retry."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Select, Update, bindparam, select, update

from bridge.model import DeliveryStatus, Lane
from bridge.store.database import Tx
from bridge.store.schema import deliveries

_waiting = deliveries.alias()
_OLDEST: Select[tuple[str]] = (
    select(_waiting.c.id)
    .where(
        _waiting.c.status == DeliveryStatus.PENDING.value,
        _waiting.c.route == bindparam("of_route"),
        _waiting.c.lane == Lane.FRESH.value,
        _waiting.c.due_at <= bindparam("latest", type_=_waiting.c.due_at.type),
    )
    .order_by(_waiting.c.due_at)
    .limit(bindparam("most"))
)


def _moving(oldest: Select[tuple[str]]) -> Update:
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(oldest.scalar_subquery()))
        .values(lane=Lane.RETRY.value)
    )


_MOVE = _moving(_OLDEST)
# What another worker has locked it is claiming or moving itself.
_MOVE_SHARED = _moving(_OLDEST.with_for_update(skip_locked=True))


def make_way(tx: Tx, routes: Sequence[str], waited: timedelta, limit: int) -> int:
    """Move what has been due for long from the fresh lane to the retries; count it.

    Args:
        tx: The transaction.
        routes: Names of the routes to look at.
        waited: How long something is fresh after it became due.
        limit: Most deliveries to move, of each route.
    """
    move = _MOVE_SHARED if tx.is_shared else _MOVE
    values = {"latest": tx.now - waited, "most": limit}
    return sum(
        tx.connection.execute(move, {"of_route": route, **values}).rowcount
        for route in routes
    )
