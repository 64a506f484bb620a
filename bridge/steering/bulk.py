"""A plan for many deliveries: what would be done with which, before anything is."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bridge.model import Cause, DeliveryStatus, sources
from bridge.store import Action, DeliveryFilter, DeliveryRow, Ledger

#: Deliveries looked at for a plan; a run goes over all that fit, whatever their number.
LOOKED_AT = 2_000
_SENT = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)
#: What Iterable calls a person it does not know, in the reasons of deliveries.
_UNKNOWN = ("UnknownUserIdError", "UnknownEmailError", "InvalidUserIdError")
_CAUSES = {
    Action.REDELIVER: Cause.REDELIVER,
    Action.DROP: Cause.RESOLVED_DROPPED,
}


class Prospect(StrEnum):
    """What would become of one delivery."""

    DONE = "done"  #: redelivered, or dropped
    SENT = "already sent"  #: Iterable has it: left alone
    EXPIRED = "expired"  #: would be sent, though its voucher is over: it will be dead
    UNKNOWN = "unknown user"  #: would be sent to somebody Iterable did not know
    GONE = "no longer kept"  #: its webhook is blanked: nothing is left to send
    OTHER = "left alone"  #: its state forbids it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run foreseen."""

    counts: Mapping[Prospect, int]
    #: Different recipients of what would be done.
    people: int
    #: The first of those that would be changed.
    sample: Sequence[DeliveryRow]
    #: False where more fit than were looked at.
    is_whole: bool

    @property
    def changes(self) -> int:
        """Count what would be changed."""
        doing = (Prospect.DONE, Prospect.EXPIRED, Prospect.UNKNOWN)
        return sum(self.counts[one] for one in doing)


def plan(ledger: Ledger, action: Action, wanted: DeliveryFilter, now: datetime) -> Plan:
    """Foresee what a run would do.

    Args:
        ledger: Where the deliveries are.
        action: `REDELIVER` or `DROP`.
        wanted: Which deliveries.
        now: Says what has expired.
    """
    found = ledger.deliveries(replace(wanted, limit=LOOKED_AT + 1))
    looked = found[:LOOKED_AT]
    allowed = sources(_CAUSES[action])
    gone = _gone(ledger, action, [row for row in looked if row.status in allowed])

    def prospect(row: DeliveryRow) -> Prospect:
        is_gone = row.id in gone
        return Prospect.GONE if is_gone else _prospect(action, row, allowed, now)

    prospects = [(prospect(row), row) for row in looked]
    counts = Counter(prospect for prospect, _ in prospects)
    stays = (Prospect.SENT, Prospect.GONE, Prospect.OTHER)
    changed = [row for one, row in prospects if one not in stays]
    return Plan(
        counts={one: counts[one] for one in Prospect},
        people=len({row.recipient for row in changed if row.recipient}),
        sample=changed[:10],
        is_whole=len(found) <= LOOKED_AT,
    )


def _gone(
    ledger: Ledger, action: Action, rows: Sequence[DeliveryRow]
) -> frozenset[str]:
    """Find the deliveries whose webhook is blanked; to drop them needs none."""
    if action is not Action.REDELIVER:
        return frozenset()
    blanked = ledger.blanked([row.event_id for row in rows])
    return frozenset(row.id for row in rows if row.event_id in blanked)


def _prospect(
    action: Action, row: DeliveryRow, allowed: Container[DeliveryStatus], now: datetime
) -> Prospect:
    if row.status not in allowed:
        return Prospect.SENT if row.status in _SENT else Prospect.OTHER
    if action is Action.DROP:
        return Prospect.DONE
    if row.voucher_expires_at is not None and row.voucher_expires_at <= now:
        return Prospect.EXPIRED
    if not row.recipient or any(code in (row.reason or "") for code in _UNKNOWN):
        return Prospect.UNKNOWN
    return Prospect.DONE
