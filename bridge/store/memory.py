"""What is known already, looked up without writing: it foresees, and decides nothing.

What decides are the unique keys, when an arrival is written.
"""

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, not_, select

from bridge.model import EventStatus
from bridge.store.keyring import Pair, owners_of
from bridge.store.repeats import HASHED_FOR
from bridge.store.schema import CHUNK, events
from bridge.store.store import Store

#: An event in one of these states is not decided again when it comes again.
_USED = (EventStatus.STORED.value, EventStatus.DUPLICATE.value)

_USED_EVENTS = select(events.c.transport_key, events.c.id).where(
    events.c.transport_key.in_(bindparam("wanted", expanding=True)),
    events.c.status.in_(_USED),
    not_(and_(events.c.is_hashed, events.c.received_at <= bindparam("oldest"))),
)


class Memory:
    """Looks up events and keys.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def used_events(self, transport_keys: Sequence[str]) -> dict[str, str]:
        """Find the events that are not decided again, by transport key: their ids."""
        found: dict[str, str] = {}
        several = list(dict.fromkeys(transport_keys))
        with self._store.read() as tx:
            values = {"oldest": tx.now - HASHED_FOR}
            for start in range(0, len(several), CHUNK):
                wanted = {"wanted": several[start : start + CHUNK]}
                rows = tx.connection.execute(_USED_EVENTS, values | wanted)
                found |= {row.transport_key: row.id for row in rows}
        return found

    def taken_keys(self, pairs: Sequence[Pair]) -> dict[Pair, str]:
        """Find which routes' keys are taken now, and by which delivery."""
        with self._store.read() as tx:
            return owners_of(tx, pairs)
