"""What a clock that was set back has put off further than anybody meant to.

Times are written by a clock that may stand an hour ahead and be corrected: what was due
in a moment is then due in an hour.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, func, select, update

from bridge.model import DeliveryStatus, Lane
from bridge.store.database import Tx
from bridge.store.schema import deliveries

#: Nobody puts off an attempt for longer: a quarter of an hour is the most that Iterable
#: may ask for.
LONGEST_WAIT = timedelta(minutes=16)

_PENDING = DeliveryStatus.PENDING.value
#: One place of the queue's index, whatever waits there.
_LATEST = select(func.max(deliveries.c.due_at)).where(
    deliveries.c.status == _PENDING,
    deliveries.c.route == bindparam("of_route"),
    deliveries.c.lane == bindparam("of_lane"),
    deliveries.c.due_at.is_not(None),
)
_PULL = (
    update(deliveries)
    .where(
        deliveries.c.status == _PENDING,
        deliveries.c.route == bindparam("of_route"),
        deliveries.c.lane == bindparam("of_lane"),
        deliveries.c.due_at > bindparam("furthest"),
    )
    .values(due_at=bindparam("now"))
)


def pull_in(tx: Tx, routes: Sequence[str]) -> int:
    """Make due what waits for a time that is absurdly far; count it.

    Only attempts to come: one in doubt that is looked at early could be sent twice, and
    waits.
    """
    pulled = 0
    for route in routes:
        for lane in Lane:
            place = {"of_route": route, "of_lane": lane.value}
            latest = tx.connection.execute(_LATEST, place).scalar()
            if latest is not None and latest > tx.now + LONGEST_WAIT:
                values = {"furthest": tx.now + LONGEST_WAIT, "now": tx.now}
                pulled += tx.connection.execute(_PULL, place | values).rowcount
    return pulled
