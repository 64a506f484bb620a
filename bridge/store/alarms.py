"""Which alerts hold, and what has been said of them: one row a condition.

In the store, so that a restart says nothing twice, and of several processes one speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from bridge.store.database import AnyRow, Tx
from bridge.store.schema import alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One condition that holds or has held."""

    name: str
    is_firing: bool
    #: What was last said outside: that it holds, or not.
    told: bool
    #: Since when it is as it is.
    since: datetime
    #: In words that name nobody.
    summary: str
    #: Tries in vain to say so.
    tries: int
    #: When to try next, or until when somebody else is trying.
    next_at: datetime

    def is_due(self, now: datetime) -> bool:
        """Tell whether something is to be said now."""
        return self.is_firing != self.told and self.next_at <= now


_ALL = select(alerts).order_by(alerts.c.name)
_MOVE = (
    update(alerts)
    .where(alerts.c.name == bindparam("moved"), alerts.c.is_firing != bindparam("to"))
    .values(
        is_firing=bindparam("to"),
        since=bindparam("now"),
        summary=bindparam("says"),
        tries=0,
        next_at=bindparam("now"),
    )
)
_CLAIM = (
    update(alerts)
    .where(alerts.c.name == bindparam("claimed"), alerts.c.next_at == bindparam("seen"))
    .values(next_at=bindparam("until"))
)
_TOLD = (
    update(alerts)
    .where(alerts.c.name == bindparam("said"))
    .values(told=bindparam("what"), tries=0, next_at=bindparam("now"))
)
_FAILED = (
    update(alerts)
    .where(alerts.c.name == bindparam("unsaid"))
    .values(tries=alerts.c.tries + 1, next_at=bindparam("later"))
)


class Alarms:
    """Raises, clears and remembers."""

    def read(self, tx: Tx) -> dict[str, Alarm]:
        """Read every condition that ever held, by name."""
        return {row.name: _alarm(row) for row in tx.connection.execute(_ALL)}

    def move(self, tx: Tx, name: str, summary: str, *, is_firing: bool) -> None:
        """Raise or clear; nothing changes where somebody has done so already."""
        values = {"moved": name, "to": is_firing, "says": summary, "now": tx.now}
        if tx.connection.execute(_MOVE, values).rowcount or not is_firing:
            return
        known = select(alerts.c.name).where(alerts.c.name == name)
        if tx.connection.execute(known).first() is None:
            row = {
                "name": name,
                "is_firing": True,
                "told": False,
                "since": tx.now,
                "summary": summary,
                "tries": 0,
                "next_at": tx.now,
            }
            tx.connection.execute(alerts.insert(), row)

    def claim(self, tx: Tx, lease: timedelta) -> Sequence[Alarm]:
        """Take what is to be said now; nobody else says it before the lease ends."""
        due = [alarm for alarm in self.read(tx).values() if alarm.is_due(tx.now)]
        until = tx.now + lease
        return [
            alarm
            for alarm in due
            if tx.connection.execute(
                _CLAIM,
                {"claimed": alarm.name, "seen": alarm.next_at, "until": until},
            ).rowcount
        ]

    def told(self, tx: Tx, name: str, *, is_firing: bool) -> None:
        """Note what was said."""
        values = {"said": name, "what": is_firing, "now": tx.now}
        tx.connection.execute(_TOLD, values)

    def failed(self, tx: Tx, name: str, delay: timedelta) -> None:
        """Note that it could not be said, and try again later."""
        values = {"unsaid": name, "later": tx.now + delay}
        tx.connection.execute(_FAILED, values)


def _alarm(row: AnyRow) -> Alarm:
    return Alarm(
        name=row.name,
        is_firing=bool(row.is_firing),
        told=bool(row.told),
        since=row.since,
        summary=row.summary,
        tries=row.tries,
        next_at=row.next_at,
    )
