"""Actions on many deliveries: which they are about, and what each would become."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bridge.model import (
    Action,
    Delivery,
    DeliveryFilter,
    DeliveryStatus,
    Trigger,
    sources,
)
from bridge.store import Transaction, deliveries, events

#: Deliveries looked at for a plan; a job goes over all that match, however many.
LOOKED_AT = 2_000
_PAGE = 500
_SENT = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)


class BulkOutcome(StrEnum):
    """What would become of one delivery."""

    DONE = "done"  #: redelivered, or dropped
    SENT = "already sent"  #: the destination accepted it: left alone
    EXPIRED = "expired"  #: queued, and then given up: its voucher has expired
    NO_RECIPIENT = "no recipient"  #: queued, and then held: it names no recipient
    REDACTED = "no longer kept"  #: its webhook is redacted: nothing is left to send
    OTHER = "left alone"  #: its status does not allow it


#: Outcomes that change the delivery.
CHANGES = (BulkOutcome.DONE, BulkOutcome.EXPIRED, BulkOutcome.NO_RECIPIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """What an action on many deliveries would do."""

    counts: Mapping[BulkOutcome, int]
    #: How many are left alone, by status.
    left_alone: Mapping[DeliveryStatus, int]
    #: Different recipients of what would be changed.
    people: int
    #: The first of those that would be changed.
    sample: Sequence[Delivery]
    #: Ids of those that would be changed, as far as they were looked at.
    ids: tuple[str, ...]
    #: Ids under which there is no delivery.
    unknown: tuple[str, ...] = ()
    #: False where more match than were looked at.
    is_whole: bool = True

    @property
    def changes(self) -> int:
        """Count what would be changed."""
        return sum(self.counts[one] for one in CHANGES)


def trigger_of(action: Action, *, force: bool = False) -> Trigger:
    """Name the transition an action makes."""
    if action is Action.REDELIVER:
        return Trigger.REDELIVER_FORCED if force else Trigger.REDELIVER
    if action is Action.DROP:
        return Trigger.RESOLVED_DROPPED
    return Trigger.RESOLVED_SENT


def plan_ids(
    tx: Transaction, action: Action, ids: Sequence[str], now: datetime, *, force: bool
) -> BulkPlan:
    """Foresee an action on deliveries named by id."""
    rows = deliveries.get_many(tx, list(dict.fromkeys(ids)))
    unknown = [one for one in dict.fromkeys(ids) if one not in {row.id for row in rows}]
    return replace(_plan(tx, action, rows, now, force=force), unknown=tuple(unknown))


def plan_filter(
    tx: Transaction,
    action: Action,
    wanted: DeliveryFilter,
    now: datetime,
    *,
    force: bool = False,
) -> BulkPlan:
    """Foresee an action on the deliveries that match a filter, `LOOKED_AT` at most."""
    found = deliveries.list(tx, replace(wanted, limit=LOOKED_AT + 1))
    plan = _plan(tx, action, found[:LOOKED_AT], now, force=force)
    return replace(plan, is_whole=len(found) <= LOOKED_AT)


def every_delivery(tx: Transaction, wanted: DeliveryFilter) -> Iterator[Delivery]:
    """List every delivery that matches, the newest first, whatever the limit."""
    page = replace(wanted, limit=_PAGE)
    while rows := deliveries.list(tx, page):
        yield from rows
        page = replace(page, after=rows[-1].id)


def _plan(
    tx: Transaction,
    action: Action,
    rows: Sequence[Delivery],
    now: datetime,
    *,
    force: bool,
) -> BulkPlan:
    allowed = sources(trigger_of(action, force=force))
    redacted: set[str] = set()
    if action is Action.REDELIVER:
        redacted = events.redacted(tx, [row.event_id for row in rows])
    outcomes = [(_outcome(action, row, allowed, redacted, now), row) for row in rows]
    changed = [row for outcome, row in outcomes if outcome in CHANGES]
    stays = (BulkOutcome.SENT, BulkOutcome.OTHER)
    counts = Counter(outcome for outcome, _ in outcomes)
    return BulkPlan(
        counts={one: counts[one] for one in BulkOutcome},
        left_alone=Counter(row.status for one, row in outcomes if one in stays),
        people=len({row.recipient for row in changed if row.recipient}),
        sample=changed[:10],
        ids=tuple(row.id for row in changed),
    )


def _outcome(
    action: Action,
    row: Delivery,
    allowed: Container[DeliveryStatus],
    redacted: Container[str],
    now: datetime,
) -> BulkOutcome:
    if row.status not in allowed:
        return BulkOutcome.SENT if row.status in _SENT else BulkOutcome.OTHER
    if action is not Action.REDELIVER:
        return BulkOutcome.DONE
    if row.event_id in redacted:
        return BulkOutcome.REDACTED
    if row.expires_at is not None and row.expires_at <= now:
        return BulkOutcome.EXPIRED
    return BulkOutcome.DONE if row.recipient else BulkOutcome.NO_RECIPIENT
