"""Idempotency keys: what makes the second copy of a message recognisable."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import and_, bindparam, delete, not_, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import EventStatus, NewDelivery
from bridge.store.database import Transaction, chunks
from bridge.store.erasure import forgotten_owners
from bridge.store.schema import events, keys

#: Route and key.
Pair: TypeAlias = tuple[str, str]

#: How long a hashed transport key recognises a repeat: senders repeat for 24 hours.
CONTENT_HASH_TTL = timedelta(hours=25)
#: An event in one of these states is not decided again when it comes again.
_DECIDED = (EventStatus.STORED.value, EventStatus.DUPLICATE.value)

_new = insert(keys)
_ACQUIRE = _new.on_conflict_do_update(
    index_elements=[keys.c.route, keys.c.key],
    set_={
        "delivery_id": _new.excluded.delivery_id,
        "expires_at": _new.excluded.expires_at,
    },
    # An expired key is taken over in the same statement.
    where=keys.c.expires_at <= bindparam("now", type_=keys.c.expires_at.type),
).execution_options(preserve_rowcount=True)
_TRANSFER = (
    update(keys)
    .where(
        keys.c.route == bindparam("of_route"),
        keys.c.key == bindparam("of_key"),
        keys.c.delivery_id == bindparam("loser"),
    )
    .values(delivery_id=bindparam("winner"))
)
_FIND = select(keys.c.route, keys.c.key, keys.c.delivery_id).where(
    tuple_(keys.c.route, keys.c.key).in_(bindparam("wanted", expanding=True)),
    or_(keys.c.expires_at.is_(None), keys.c.expires_at > bindparam("now")),
)


def acquire(tx: Transaction, wanted: Sequence[NewDelivery]) -> dict[Pair, str]:
    """Take all keys that are free or expired, for the first that wants each.

    Returns:
        Which delivery holds each of the keys now; empty where all were free, which is
        the rule.
    """
    first: dict[Pair, dict[str, Any]] = {}
    pairs = [(one.route, key) for one in wanted for key, _ in one.keys]
    for one in wanted:
        for key, ttl in one.keys:
            first.setdefault((one.route, key), _row(tx, (one.route, key), one.id, ttl))
    # In one order everywhere: two transactions that want the same keys would otherwise
    # wait for each other.
    rows = [first[pair] for pair in sorted(first)]
    if tx.connection.execute(_ACQUIRE, rows).rowcount == len(pairs):
        return {}
    return known_keys(tx, pairs)


def acquire_one(tx: Transaction, pair: Pair, delivery_id: str, ttl: timedelta) -> bool:
    """Take a key for a delivery; False where another one holds it."""
    row = _row(tx, pair, delivery_id, ttl)
    return tx.connection.execute(_ACQUIRE, [row]).rowcount == 1


def transfer(tx: Transaction, losers: Sequence[tuple[NewDelivery, str]]) -> None:
    """Give the keys that losers took to their winners, so that they go on counting."""
    rows = [
        {
            "loser": delivery.id,
            "of_route": delivery.route,
            "of_key": key,
            "winner": winner,
        }
        for delivery, winner in losers
        for key, _ in delivery.keys
    ]
    if rows:
        tx.connection.execute(_TRANSFER, rows)


def release(tx: Transaction, delivery: NewDelivery) -> None:
    """Free the keys of a delivery that is not made."""
    for some in chunks(key for key, _ in delivery.keys):
        own = delete(keys).where(
            keys.c.route == delivery.route,
            keys.c.key.in_(some),
            keys.c.delivery_id == delivery.id,
        )
        tx.connection.execute(own)


def owned_under_previous_names(
    tx: Transaction, wanted: Sequence[NewDelivery]
) -> dict[Pair, str]:
    """Find keys that are held under a previous name of their route, and by which."""
    pairs = {
        (name, key): (one.route, key)
        for one in wanted
        for name in one.route_names[1:]
        for key, _ in one.keys
    }
    owners = known_keys(tx, pairs) if pairs else {}
    return {pairs[pair]: owner for pair, owner in owners.items()}


def known_keys(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, str]:
    """Find which delivery holds keys now; free and expired keys are left out.

    Keys of forgotten customers are among them.
    """
    found: dict[Pair, str] = {}
    several = list(dict.fromkeys(pairs))
    for wanted in chunks(several):
        rows = tx.connection.execute(_FIND, {"wanted": wanted, "now": tx.now})
        found |= {(row.route, row.key): row.delivery_id for row in rows}
    return (forgotten_owners(tx, several) if several else {}) | found


def known_events(tx: Transaction, transport_keys: Sequence[str]) -> dict[str, str]:
    """Find the events that are not decided again, by transport key: their ids.

    It foresees, and decides nothing: the unique keys do, when an event is stored.
    """
    oldest = tx.now - CONTENT_HASH_TTL
    found: dict[str, str] = {}
    for wanted in chunks(dict.fromkeys(transport_keys)):
        statement = select(events.c.transport_key, events.c.id).where(
            events.c.transport_key.in_(wanted),
            events.c.status.in_(_DECIDED),
            not_(and_(events.c.is_hashed, events.c.received_at <= oldest)),
        )
        rows = tx.connection.execute(statement)
        found |= {row.transport_key: row.id for row in rows}
    return found


def _row(
    tx: Transaction, pair: Pair, delivery_id: str, ttl: timedelta
) -> dict[str, Any]:
    return {
        "route": pair[0],
        "key": pair[1],
        "delivery_id": delivery_id,
        "expires_at": tx.now + ttl,
        "now": tx.now,
    }
