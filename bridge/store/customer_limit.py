"""At most so many messages for a person on a route: the others are held.

Each message a person may get takes a key that is free again after the window. The
table's unique key decides between deliveries that want the last one.
"""

from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import bindparam, update

from bridge.model import (
    CustomerLimit,
    DeliveryStatus,
    NewDelivery,
    Trigger,
    next_status,
)
from bridge.store.database import Transaction
from bridge.store.idempotency import acquire_one, known_keys
from bridge.store.schema import deliveries

_PENDING = DeliveryStatus.PENDING
_HOLD = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("beyond"),
        deliveries.c.status == _PENDING.value,
    )
    .values(
        status=next_status(_PENDING, Trigger.UNUSABLE).value,
        due_at=None,
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)


def enforce_limits(tx: Transaction, made: Iterable[NewDelivery]) -> list[str]:
    """Hold new deliveries to people who have had as many as the route allows.

    Returns:
        The ids of those held.
    """
    held = []
    for one in made:
        if one.limit is None or not one.recipient or _is_within(tx, one, one.limit):
            continue
        hours = one.limit.window.total_seconds() / 3600
        why = f"more than {one.limit.max} to this person within {hours:g} hours"
        tx.connection.execute(_HOLD, {"beyond": one.id, "why": why, "now": tx.now})
        held.append(one.id)
    return held


def _is_within(tx: Transaction, one: NewDelivery, limit: CustomerLimit) -> bool:
    """Take the first slot that is free."""
    # No name in it: it outlives the delivery, and a look at the table.
    person = sha256(one.recipient.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    slots = [f"limit:{person}:{number}" for number in range(limit.max)]
    previous = [(name, slot) for name in one.route_names[1:] for slot in slots]
    taken = {slot for _, slot in known_keys(tx, previous)} if previous else set()
    return any(
        slot not in taken and acquire_one(tx, (one.route, slot), one.id, limit.window)
        for slot in slots
    )
