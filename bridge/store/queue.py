"""The queue: what is due is claimed, what came back is settled."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from bridge.model import Cause, DeliveryStatus, next_status
from bridge.store import route_names
from bridge.store.claiming import as_claim, claim
from bridge.store.database import Tx
from bridge.store.doubts import decide_doubt, doubtful, expire_leases, postpone
from bridge.store.leaps import pull_in
from bridge.store.making_way import make_way
from bridge.store.schema import deliveries
from bridge.store.settling import settle
from bridge.store.siblings import doubted, siblings

_PENDING = DeliveryStatus.PENDING.value
_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value

#: Why a delivery is held that no route wants any more.
ORPHANED = "route no longer configured"

_HOLD = (
    update(deliveries)
    .where(
        deliveries.c.status.in_([_PENDING, _IN_DOUBT]),
        deliveries.c.due_at.is_not(None),
        deliveries.c.route.in_(bindparam("orphans", expanding=True)),
    )
    .values(
        status=next_status(DeliveryStatus.PENDING, Cause.UNUSABLE).value,
        due_at=None,
        reason=ORPHANED,
        updated_at=bindparam("now"),
    )
)
_RENAME = (
    update(deliveries)
    .where(
        deliveries.c.due_at.is_not(None),
        deliveries.c.route.in_(bindparam("formerly", expanding=True)),
    )
    .values(route=bindparam("new_route"))
)
_ANY_SENDING = (
    select(deliveries.c.id)
    .where(deliveries.c.status == _SENDING, deliveries.c.due_at.is_not(None))
    .limit(1)
)


class Queue:
    """Hands out deliveries under a lease, and takes back what became of them."""

    claim = staticmethod(claim)
    settle = staticmethod(settle)
    expire_leases = staticmethod(expire_leases)
    doubtful = staticmethod(doubtful)
    decide_doubt = staticmethod(decide_doubt)
    pull_in = staticmethod(pull_in)
    make_way = staticmethod(make_way)
    postpone = staticmethod(postpone)
    doubted = staticmethod(doubted)
    siblings = staticmethod(siblings)
    as_claim = staticmethod(as_claim)

    def is_sending(self, tx: Tx) -> bool:
        """Tell whether any worker holds any delivery."""
        return tx.connection.execute(_ANY_SENDING).first() is not None

    def hold_orphans(self, tx: Tx, routes: Sequence[str]) -> int:
        """Hold what waits for a route that is not among those named; count them."""
        orphans = route_names.waiting(tx) - set(routes)
        if not orphans:
            return 0
        values = {"orphans": sorted(orphans), "now": tx.now}
        return tx.connection.execute(_HOLD, values).rowcount

    def rename(self, tx: Tx, route: str, formerly: Sequence[str]) -> None:
        """Let what waits under earlier names of a route wait under its name."""
        tx.connection.execute(_RENAME, {"new_route": route, "formerly": list(formerly)})
