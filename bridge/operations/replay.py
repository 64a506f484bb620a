"""Replays: what captured or stored webhooks would become, and feeding them in."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bridge.bootstrap import Bridge
from bridge.model import (
    Action,
    Capture,
    DeliveryStatus,
    Event,
    EventFilter,
    EventStatus,
    IngestResult,
    NewDelivery,
    NewEvent,
)
from bridge.store import actions, deliveries, events, idempotency

#: How many webhooks are looked up together.
BATCH = 200
_PAGE = 500
_SENT = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)

#: A business key on a route, as the ledger keeps it.
RouteKey = tuple[str, str]


class ReplayOutcome(StrEnum):
    """What would become of one webhook."""

    NEW = "new"  #: makes at least one delivery
    SENT = "already sent"  #: the destination has accepted its messages
    KNOWN = "already known"  #: its messages wait, ended otherwise, or are above
    PARKED = "parked"  #: cannot be used as it is
    IGNORED = "ignored"  #: no route matches it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayItem:
    """One webhook to be replayed."""

    #: File and line, or the id of a stored event.
    where: str
    capture: Capture
    #: Id of the stored event that is decided again; None for a captured one.
    event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReplay:
    """One webhook and what would become of it."""

    item: ReplayItem
    outcome: ReplayOutcome
    reason: str | None = None
    #: The deliveries it would make.
    deliveries: tuple[NewDelivery, ...] = ()


class ReplayPlanner:
    """Foresees what intake and ledger will make of webhooks, in their order.

    Args:
        bridge: Its intake decides; its ledger is asked what is known already.
        knows_ledger: False where the webhooks go to another bridge's ledger.
    """

    def __init__(self, bridge: Bridge, *, knows_ledger: bool = True) -> None:
        self._bridge = bridge
        self._knows_ledger = knows_ledger
        #: What the webhooks planned so far will add to the ledger.
        self._events: dict[str, str] = {}
        self._owners: dict[RouteKey, str] = {}
        #: Owners whose message the destination has accepted.
        self._sent: set[str] = set()

    def plan(self, items: Sequence[ReplayItem]) -> Iterator[PlannedReplay]:
        """Say of each webhook what would become of it."""
        for start in range(0, len(items), BATCH):
            batch = [
                (item, self._bridge.intake.decide(item.capture))
                for item in items[start : start + BATCH]
            ]
            if self._knows_ledger:
                self._look_up([event for _, event in batch])
            for item, event in batch:
                yield self._planned(item, event)

    def _look_up(self, batch: Sequence[NewEvent]) -> None:
        with self._bridge.store.read() as tx:
            known = idempotency.known_events(tx, [one.transport_key for one in batch])
            owners = idempotency.known_keys(tx, list(_pairs(batch)))
            statuses = deliveries.statuses(tx, set(owners.values()))
        self._events |= {key: f"event {by}" for key, by in known.items()}
        self._owners |= {pair: f"delivery {by}" for pair, by in owners.items()}
        self._sent |= {
            f"delivery {by}" for by, status in statuses.items() if status in _SENT
        }

    def _planned(self, item: ReplayItem, event: NewEvent) -> PlannedReplay:
        before = self._events.get(event.transport_key)
        if before is not None and item.event_id is None:
            known = PlannedReplay(item=item, outcome=ReplayOutcome.KNOWN)
            return self._known(known, list(_pairs([event])), before)
        planned = PlannedReplay(
            item=item, outcome=ReplayOutcome.IGNORED, reason=event.reason
        )
        if event.status is EventStatus.STORED:
            planned = self._new(planned, event)
        elif event.status is EventStatus.PARKED:
            planned = replace(planned, outcome=ReplayOutcome.PARKED)
            if self._owners_of(event.already_covered_by):
                planned = self._known(planned, event.already_covered_by)
        if planned.outcome not in (ReplayOutcome.PARKED, ReplayOutcome.IGNORED):
            self._events[event.transport_key] = f"the same webhook as {item.where}"
        return planned

    def _new(self, planned: PlannedReplay, event: NewEvent) -> PlannedReplay:
        fresh: list[NewDelivery] = []
        for delivery in event.deliveries:
            owners = self._owners_of(_route_keys(delivery))
            if not owners:
                fresh.append(delivery)
            by = owners[0] if owners else f"a delivery of {planned.item.where}"
            for key, _ in delivery.keys:
                self._owners.setdefault((delivery.route, key), by)
        if fresh:
            outcome = ReplayOutcome.NEW
            return replace(planned, outcome=outcome, deliveries=tuple(fresh))
        return self._known(planned, list(_pairs([event])))

    def _known(
        self,
        planned: PlannedReplay,
        pairs: Sequence[RouteKey],
        before: str | None = None,
    ) -> PlannedReplay:
        """Name what has the messages already; sent only where all of them are."""
        owners = self._owners_of(pairs)
        is_sent = bool(owners) and self._sent.issuperset(owners)
        return replace(
            planned,
            outcome=ReplayOutcome.SENT if is_sent else ReplayOutcome.KNOWN,
            reason=f"already in {owners[0]}" if before is None else f"it is {before}",
        )

    def _owners_of(self, pairs: Sequence[RouteKey]) -> list[str]:
        return [self._owners[pair] for pair in pairs if pair in self._owners]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan in figures."""

    outcomes: Mapping[ReplayOutcome, int]
    messages: int
    #: Different recipients of these messages.
    people: int


def summarize(plan: Sequence[PlannedReplay]) -> PlanSummary:
    """Count what a plan would do."""
    made = [one for planned in plan for one in planned.deliveries]
    return PlanSummary(
        outcomes=Counter(one.outcome for one in plan),
        messages=len(made),
        people=len({one.recipient for one in made if one.recipient}),
    )


def replay(bridge: Bridge, item: ReplayItem, *, actor: str) -> IngestResult:
    """Store a webhook as if it came now, with an audit entry for a stored event.

    Raises:
        StoreUnavailable: Nothing was kept.
    """
    before = None
    if item.event_id is not None:
        with bridge.store.read() as tx:
            before = events.get(tx, item.event_id)
    result = bridge.intake.receive(item.capture, reprocess_event_id=item.event_id)
    if before is not None:
        target = (before.event.id, before.event.status.value)
        with bridge.store.write() as tx:
            actions.record(tx, actor, Action.REPLAY, [target])
    return result


def stored_items(
    bridge: Bridge, statuses: Sequence[EventStatus], since: datetime | None
) -> Iterator[ReplayItem]:
    """Read stored events that made no delivery, as far as their bodies are kept."""
    for status in statuses:
        page = EventFilter(status=status, since=since, limit=_PAGE)
        while rows := _listed(bridge, page):
            for row in rows:
                with bridge.store.read() as tx:
                    stored = events.get(tx, row.id)
                if stored is not None and stored.event.redacted_at is None:
                    yield ReplayItem(
                        where=f"event {row.id}", capture=stored.capture, event_id=row.id
                    )
            page = replace(page, after=rows[-1].id)


def _listed(bridge: Bridge, page: EventFilter) -> list[Event]:
    with bridge.store.read() as tx:
        return events.list(tx, page)


def _route_keys(delivery: NewDelivery) -> list[RouteKey]:
    return [(name, key) for name in delivery.route_names for key, _ in delivery.keys]


def _pairs(batch: Sequence[NewEvent]) -> Iterator[RouteKey]:
    for event in batch:
        yield from event.already_covered_by
        for delivery in event.deliveries:
            yield from _route_keys(delivery)
