"""Keys: what makes the second copy of a reward recognisable, and who holds them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import NewDelivery
from bridge.store.database import Tx
from bridge.store.keys_forgotten import forgotten_owners
from bridge.store.prepared import Prepared
from bridge.store.schema import CHUNK, keys

#: End of a business key that stands for a whole publication.
WHOLE = ":*"
#: Beginning of a key that stands for a code given to a customer.
CODE = "code:"
#: Route and key.
Pair = tuple[str, str]

_new = insert(keys)
_TAKE = Prepared(
    _new.on_conflict_do_update(
        index_elements=[keys.c.route, keys.c.key],
        set_={
            "delivery_id": _new.excluded.delivery_id,
            "expires_at": _new.excluded.expires_at,
        },
        where=keys.c.expires_at <= bindparam("now", type_=keys.c.expires_at.type),
    ),
    "route",
    "key",
    "delivery_id",
    "expires_at",
)
_GIVE = (
    update(keys)
    .where(
        keys.c.route == bindparam("of_route"),
        keys.c.key == bindparam("of_key"),
        keys.c.delivery_id == bindparam("loser"),
    )
    .values(delivery_id=bindparam("winner"))
)
_RELEASE = delete(keys).where(
    keys.c.route == bindparam("of_route"),
    keys.c.key.in_(bindparam("several", expanding=True)),
    keys.c.delivery_id == bindparam("loser"),
)
_FIND = select(keys.c.route, keys.c.key, keys.c.delivery_id).where(
    tuple_(keys.c.route, keys.c.key).in_(bindparam("wanted", expanding=True)),
    or_(keys.c.expires_at.is_(None), keys.c.expires_at > bindparam("now")),
)


def take_keys(tx: Tx, wanted: Sequence[NewDelivery]) -> dict[Pair, str]:
    """Take all keys that are free or expired, for the first who wants each.

    Returns:
        Who holds each of the keys now; empty where all were free, which is the rule.
    """
    first: dict[Pair, dict[str, Any]] = {}
    pairs = [(one.route, key) for one in wanted for key, _ in one.keys]
    for one in wanted:
        for key, keep in one.keys:
            row = {
                "route": one.route,
                "key": key,
                "delivery_id": one.id,
                "expires_at": tx.now + keep,
                "now": tx.now,
            }
            first.setdefault((one.route, key), row)
    # In one order everywhere: two transactions that want the same keys would otherwise
    # wait for each other.
    rows = [first[pair] for pair in sorted(first)]
    if _TAKE.run(tx.connection, rows) == len(pairs):
        return {}
    return owners_of(tx, pairs)


def take_one(tx: Tx, pair: Pair, delivery_id: str, keep: timedelta) -> bool:
    """Take a key for a delivery; False where it is held."""
    row = {
        "route": pair[0],
        "key": pair[1],
        "delivery_id": delivery_id,
        "expires_at": tx.now + keep,
        "now": tx.now,
    }
    return _TAKE.run(tx.connection, [row]) == 1


def holder(delivery: NewDelivery, owners: Mapping[Pair, str]) -> str | None:
    """Find who else holds a key of the delivery; None where it holds them all."""
    for key, _ in delivery.keys:
        owner = owners.get((delivery.route, key), delivery.id)
        if owner != delivery.id:
            return owner
    return None


def is_told(delivery: NewDelivery, owners: Mapping[Pair, str]) -> bool:
    """Tell whether others have told all that a whole publication would tell.

    So it is where they hold the key of the whole, that of every voucher, or that of
    every code.
    """
    vouchers = [key for key, _ in delivery.keys if not key.startswith(CODE)]
    vouchers.remove(delivery.key)
    codes = [key for key, _ in delivery.keys if key.startswith(CODE)]
    return any(
        several
        and all(
            owners.get((delivery.route, key), delivery.id) != delivery.id
            for key in several
        )
        for several in ([delivery.key], vouchers, codes)
    )


def release_keys(tx: Tx, delivery: NewDelivery) -> None:
    """Let go of the keys of a delivery that is not made."""
    tx.connection.execute(
        _RELEASE,
        {
            "of_route": delivery.route,
            "several": [key for key, _ in delivery.keys],
            "loser": delivery.id,
        },
    )


def give_keys(tx: Tx, losers: Sequence[tuple[NewDelivery, str]]) -> None:
    """Hand the keys that losers took to their winners, so that they go on counting."""
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
        tx.connection.execute(_GIVE, rows)


def held_formerly(tx: Tx, wanted: Sequence[NewDelivery]) -> dict[Pair, str]:
    """Find keys that are held under an earlier name of their route, and by whom."""
    pairs = {
        (name, key): (one.route, key)
        for one in wanted
        for name in one.route_names[1:]
        for key, _ in one.keys
    }
    owners = owners_of(tx, pairs) if pairs else {}
    return {pairs[pair]: owner for pair, owner in owners.items()}


def owners_of(tx: Tx, pairs: Iterable[Pair]) -> dict[Pair, str]:
    """Find who holds keys now; keys that are free or expired are left out."""
    found: dict[Pair, str] = {}
    several = list(dict.fromkeys(pairs))
    for start in range(0, len(several), CHUNK):
        wanted = several[start : start + CHUNK]
        rows = tx.connection.execute(_FIND, {"wanted": wanted, "now": tx.now})
        found |= {(row.route, row.key): row.delivery_id for row in rows}
    return forgotten_owners(tx, several) | found
