"""What a replay would do, found out without writing anything."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from bridge.model import Arrival, Capture, EventStatus, NewDelivery

#: How many webhooks are looked up together.
BATCH = 200

#: A business key on a route, as the ledger keeps it.
RouteKey = tuple[str, str]


class Fate(StrEnum):
    """What would become of one webhook."""

    NEW = "new"  #: makes at least one delivery
    SENT = "already sent"  #: Iterable has taken what it tells
    KNOWN = "already known"  #: tells what waits, or ended otherwise, or comes before
    PARKED = "parked"  #: cannot be used as it is
    IGNORED = "ignored"  #: no route wants it


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One webhook to be replayed."""

    #: File and line, or the id of a stored event.
    where: str
    capture: Capture
    #: Id of the stored event that is decided again; None for a captured one.
    again: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One webhook and what would become of it."""

    source: Source
    fate: Fate
    reason: str | None = None
    #: The deliveries it would make.
    deliveries: tuple[NewDelivery, ...] = ()


class Memory(Protocol):
    """What a ledger knows already."""

    def used_events(self, transport_keys: Sequence[str]) -> Mapping[str, str]:
        """Find the events that are not decided again, by transport key: their ids."""

    def taken_keys(self, pairs: Sequence[RouteKey]) -> Mapping[RouteKey, str]:
        """Find which keys are taken, and by which deliveries."""

    def sent(self, delivery_ids: Collection[str]) -> Collection[str]:
        """Find those of the deliveries that Iterable has taken."""


class Nothing:
    """The memory of a ledger one cannot look into."""

    def used_events(self, _transport_keys: Sequence[str]) -> Mapping[str, str]:
        """Know of none."""
        return {}

    def taken_keys(self, _pairs: Sequence[RouteKey]) -> Mapping[RouteKey, str]:
        """Know of none."""
        return {}

    def sent(self, _delivery_ids: Collection[str]) -> Collection[str]:
        """Know of none."""
        return ()


class Planner:
    """Foresees what the intake and the ledger will make of webhooks, in their order.

    Args:
        decide: The intake's; it will decide the same when they are fed.
        memory: What is known before the first of them.
    """

    def __init__(self, decide: Callable[[Capture], Arrival], memory: Memory) -> None:
        self._decide = decide
        self._memory = memory
        #: What the webhooks planned so far will have made known.
        self._used: dict[str, str] = {}
        self._taken: dict[RouteKey, str] = {}
        #: Which of these winners Iterable has taken.
        self._sent: set[str] = set()

    def plan(self, sources: Sequence[Source]) -> Iterator[Step]:
        """Say of each webhook what would become of it."""
        for start in range(0, len(sources), BATCH):
            batch = [
                (source, self._decide(source.capture))
                for source in sources[start : start + BATCH]
            ]
            arrivals = [arrival for _, arrival in batch]
            used = self._memory.used_events([one.transport_key for one in arrivals])
            taken = self._memory.taken_keys(list(_pairs(arrivals)))
            self._used |= {key: f"event {by}" for key, by in used.items()}
            self._taken |= {key: f"delivery {by}" for key, by in taken.items()}
            winners = self._memory.sent(set(taken.values()))
            self._sent |= {f"delivery {by}" for by in winners}
            for source, arrival in batch:
                yield self._step(source, arrival)

    def _step(self, source: Source, arrival: Arrival) -> Step:
        before = self._used.get(arrival.transport_key)
        if before is not None and source.again is None:
            pairs = list(_pairs([arrival]))
            return self._told(Step(source=source, fate=Fate.KNOWN), pairs, before)
        step = Step(source=source, fate=Fate.IGNORED, reason=arrival.reason)
        if arrival.status is EventStatus.STORED:
            step = self._new(step, arrival)
        elif arrival.status is EventStatus.PARKED:
            step = replace(step, fate=Fate.PARKED)
            if self._winner(arrival.covered_by) is not None:
                step = self._told(step, arrival.covered_by)
        if step.fate in (Fate.NEW, Fate.SENT, Fate.KNOWN):
            self._used[arrival.transport_key] = f"the same webhook as {source.where}"
        return step

    def _new(self, step: Step, arrival: Arrival) -> Step:
        fresh: list[NewDelivery] = []
        for delivery in arrival.deliveries:
            winner = self._winner(_route_keys(delivery))
            if winner is None:
                fresh.append(delivery)
            self._take(delivery, winner or f"a delivery of {step.source.where}")
        if fresh:
            return replace(step, fate=Fate.NEW, deliveries=tuple(fresh))
        return self._told(step, list(_pairs([arrival])))

    def _told(
        self, step: Step, pairs: Sequence[RouteKey], before: str | None = None
    ) -> Step:
        """Say what tells it already; sent only where all of that is."""
        winners = [self._taken[pair] for pair in pairs if pair in self._taken]
        is_sent = bool(winners) and self._sent.issuperset(winners)
        return replace(
            step,
            fate=Fate.SENT if is_sent else Fate.KNOWN,
            reason=f"told by {winners[0]}" if before is None else f"it is {before}",
        )

    def _winner(self, pairs: Sequence[RouteKey]) -> str | None:
        return next((self._taken[pair] for pair in pairs if pair in self._taken), None)

    def _take(self, delivery: NewDelivery, by: str) -> None:
        for key, _ in delivery.keys:
            self._taken.setdefault((delivery.route, key), by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A plan in figures."""

    fates: Mapping[Fate, int]
    messages: int
    #: Different recipients of these messages.
    people: int


def summary(steps: Sequence[Step]) -> Summary:
    """Count what a plan would do."""
    deliveries = [one for step in steps for one in step.deliveries]
    return Summary(
        fates=Counter(step.fate for step in steps),
        messages=len(deliveries),
        people=len({one.recipient for one in deliveries if one.recipient}),
    )


def _route_keys(delivery: NewDelivery) -> list[RouteKey]:
    return [(name, key) for name in delivery.route_names for key, _ in delivery.keys]


def _pairs(arrivals: Sequence[Arrival]) -> Iterator[RouteKey]:
    for arrival in arrivals:
        yield from arrival.covered_by
        for delivery in arrival.deliveries:
            yield from _route_keys(delivery)
