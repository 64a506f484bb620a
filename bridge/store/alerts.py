"""Which alerts hold and what was sent about them: one row for each condition.

In the store, so that a restart repeats no message, and of several processes one sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bridge.store.actions import cut
from bridge.store.database import Transaction, as_type
from bridge.store.schema import alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """One condition that holds or has held."""

    name: str
    is_firing: bool
    #: What was last sent: that it holds, or that it no longer does.
    was_firing: bool
    #: Since when it is as it is.
    since: datetime
    #: In words that name no person.
    summary: str
    #: Failed tries to send it.
    tries: int
    #: When to try next, or until when another process is trying.
    next_at: datetime

    def is_due(self, now: datetime) -> bool:
        """Tell whether something is to be sent now."""
        return self.is_firing != self.was_firing and self.next_at <= now


def read_all(tx: Transaction) -> dict[str, AlertState]:
    """Read every condition that ever held, by name."""
    rows = tx.connection.execute(select(alerts).order_by(alerts.c.name))
    return {row.name: as_type(row, AlertState) for row in rows}


def set_firing(tx: Transaction, name: str, summary: str | None) -> None:
    """Raise an alert, or clear it where there is no summary.

    Nothing changes where it is raised, or cleared, already.
    """
    changed: dict[str, Any] = {"since": tx.now, "tries": 0, "next_at": tx.now}
    if summary is None:
        is_firing = alerts.c.name == name, alerts.c.is_firing.is_(True)
        cleared = (
            update(alerts).where(*is_firing).values(changed | {"is_firing": False})
        )
        tx.connection.execute(cleared)
        return
    changed |= {"is_firing": True, "summary": cut(summary)}
    raised = upsert(alerts).on_conflict_do_update(
        index_elements=[alerts.c.name],
        set_=changed,
        where=alerts.c.is_firing.is_(False),
    )
    tx.connection.execute(raised, {"name": name, "was_firing": False, **changed})


def claim(tx: Transaction, lease: timedelta) -> Sequence[AlertState]:
    """Take what is to be sent now; no other process sends it before the lease ends."""
    taken = []
    for state in read_all(tx).values():
        if state.is_due(tx.now):
            is_it = alerts.c.name == state.name, alerts.c.next_at == state.next_at
            claimed = update(alerts).where(*is_it).values(next_at=tx.now + lease)
            if tx.connection.execute(claimed).rowcount:
                taken.append(state)
    return taken


def set_notified(tx: Transaction, name: str, *, is_firing: bool) -> None:
    """Record what was sent."""
    sent = {"was_firing": is_firing, "tries": 0, "next_at": tx.now}
    tx.connection.execute(update(alerts).where(alerts.c.name == name).values(sent))


def schedule_retry(tx: Transaction, name: str, delay: timedelta) -> None:
    """Record that it could not be sent, and try again later."""
    failed = {"tries": alerts.c.tries + 1, "next_at": tx.now + delay}
    tx.connection.execute(update(alerts).where(alerts.c.name == name).values(failed))
