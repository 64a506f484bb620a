"""Keys of forgotten people: kept as hashes, so that no reward is told a second time.

Such a row stands under no route, with the hash of route and key in place of the key.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, bindparam, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from bridge.store.database import Tx
from bridge.store.schema import CHUNK, keys

#: Where routes have their name.
NO_ROUTE = ""
#: For so many seconds a process may not have noticed the first such key of all; the
#: plain key must stay as long.
NOTICED_WITHIN = 0.25

_ANY = select(exists().where(keys.c.route == NO_ROUTE))
_FIND = select(keys.c.key, keys.c.delivery_id).where(
    keys.c.route == NO_ROUTE,
    keys.c.key.in_(bindparam("wanted", expanding=True)),
    or_(keys.c.expires_at.is_(None), keys.c.expires_at > bindparam("now")),
)
_OF_DELIVERIES = select(
    keys.c.route, keys.c.key, keys.c.delivery_id, keys.c.expires_at
).where(
    keys.c.delivery_id.in_(bindparam("wanted", expanding=True)),
    keys.c.route != NO_ROUTE,
)
_KEEP = insert(keys).on_conflict_do_nothing(index_elements=[keys.c.route, keys.c.key])
_DROP = delete(keys).where(
    keys.c.route == bindparam("of_route"),
    keys.c.key == bindparam("of_key"),
    keys.c.delivery_id == bindparam("holder"),
)
#: Whether there was any, and until when that is believed, by monotonic time.
_believed: "WeakKeyDictionary[Engine, tuple[bool, float]]" = WeakKeyDictionary()

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One key and who holds it."""

    route: str
    key: str
    delivery_id: str
    #: None for never.
    expires_at: datetime | None


def hashed(route: str, key: str) -> str:
    """Make what stands for a key of a forgotten person."""
    return sha256(f"{route}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def forgotten_owners(tx: Tx, pairs: Iterable[Pair]) -> dict[Pair, str]:
    """Find which keys the deliveries of forgotten people hold.

    It costs nothing where nobody was forgotten lately, which is the rule.
    """
    if not _is_any(tx):
        return {}
    by_hash = {hashed(*pair): pair for pair in pairs}
    several = list(by_hash)
    found: dict[Pair, str] = {}
    for start in range(0, len(several), CHUNK):
        values = {"wanted": several[start : start + CHUNK], "now": tx.now}
        rows = tx.connection.execute(_FIND, values)
        found |= {by_hash[row.key]: row.delivery_id for row in rows}
    return found


def _is_any(tx: Tx) -> bool:
    engine, now = tx.connection.engine, time.monotonic()
    answer, until = _believed.get(engine, (False, 0.0))
    if now >= until:
        answer = bool(tx.connection.execute(_ANY).scalar())
        _believed[engine] = answer, now + NOTICED_WITHIN
    return answer


def held_by(tx: Tx, delivery_ids: Sequence[str]) -> list[Held]:
    """List the keys that deliveries hold in plain words.

    It walks over all keys: not for a transaction that others wait for.
    """
    rows = tx.connection.execute(_OF_DELIVERIES, {"wanted": list(delivery_ids)})
    return [Held(**row) for row in rows.mappings()] if delivery_ids else []


def keep_hashes(tx: Tx, several: Sequence[Held]) -> None:
    """Keep the hash of each key; the plain one stays for now."""
    kept = [
        {
            "route": NO_ROUTE,
            "key": hashed(one.route, one.key),
            "delivery_id": one.delivery_id,
            "expires_at": one.expires_at,
        }
        for one in several
    ]
    if kept:
        tx.connection.execute(_KEEP, kept)


def drop(tx: Tx, several: Sequence[Held]) -> None:
    """Remove the plain keys, unless somebody has taken one over meanwhile."""
    rows = [
        {"of_route": one.route, "of_key": one.key, "holder": one.delivery_id}
        for one in several
    ]
    if rows:
        tx.connection.execute(_DROP, rows)
