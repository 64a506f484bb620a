"""At most so many rewards a person on a route: the rest is held.

Each of the rewards a person may get takes a key that comes free again after the time in
question. The unique key of the table decides between those who want the last one.
"""

from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import bindparam, update

from bridge.model import Cause, DeliveryStatus, Limit, NewDelivery, next_status
from bridge.store.database import Tx
from bridge.store.keyring import owners_of, take_one
from bridge.store.schema import deliveries

_PENDING = DeliveryStatus.PENDING
_HOLD = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("beyond"),
        deliveries.c.status == _PENDING.value,
    )
    .values(
        status=next_status(_PENDING, Cause.UNUSABLE).value,
        due_at=None,
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)


def hold_beyond_limits(tx: Tx, made: Iterable[NewDelivery]) -> list[str]:
    """Hold new deliveries to persons who have had their share on the route.

    Returns:
        The ids of those held.
    """
    held = []
    for one in made:
        if one.limit is None or not one.recipient or _has_share(tx, one, one.limit):
            continue
        hours = one.limit.within.total_seconds() / 3600
        why = f"more than {one.limit.count} to this person within {hours:g} hours"
        tx.connection.execute(_HOLD, {"beyond": one.id, "why": why, "now": tx.now})
        held.append(one.id)
    return held


def _has_share(tx: Tx, one: NewDelivery, limit: Limit) -> bool:
    """Take the first share that is free."""
    # No name in it: it outlives the delivery, and a look at the table.
    person = sha256(one.recipient.encode()).hexdigest()[:32]
    shares = [f"share:{person}:{number}" for number in range(limit.count)]
    formerly = [(name, share) for name in one.route_names[1:] for share in shares]
    held = {share for _, share in owners_of(tx, formerly)} if formerly else set()
    return any(
        share not in held and take_one(tx, (one.route, share), one.id, limit.within)
        for share in shares
    )
