"""Which workers are there: each says so every few seconds."""

import time
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, select

from bridge.store.database import Tx
from bridge.store.ids import new_id
from bridge.store.schema import turns
from bridge.store.turns import take_turn

_PREFIX = "worker:"
#: Seconds between two words of a worker, and how long one counts.
_EVERY = 5.0
_COUNTS = timedelta(seconds=15)

_is_worker = func.substr(turns.c.name, 1, len(_PREFIX)) == _PREFIX
_COUNT = (
    select(func.count())
    .select_from(turns)
    .where(_is_worker, turns.c.until > bindparam("now", type_=turns.c.until.type))
)
_FORGET = delete(turns).where(
    _is_worker, turns.c.until <= bindparam("now", type_=turns.c.until.type)
)
_LEAVE = delete(turns).where(turns.c.name == bindparam("own"))


class Presence:
    """One worker's word that it is there."""

    def __init__(self) -> None:
        self._name = _PREFIX + new_id()
        self._next = 0.0

    def keep(self, tx: Tx) -> None:
        """Say so, unless that was a moment ago; forget who has not for long."""
        if time.monotonic() < self._next:
            return
        tx.connection.execute(_FORGET, {"now": tx.now})
        take_turn(tx, self._name, self._name, _COUNTS)
        self._next = time.monotonic() + _EVERY

    def end(self, tx: Tx) -> None:
        """Say goodbye."""
        tx.connection.execute(_LEAVE, {"own": self._name})


def count_workers(tx: Tx) -> int:
    """Count the workers that are there."""
    return tx.connection.execute(_COUNT, {"now": tx.now}).scalar() or 0
