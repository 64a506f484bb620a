"""The first page: how things are, and what needs an operator."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, render_template

from bridge.bootstrap import Bridge
from bridge.model import (
    Circuit,
    CircuitState,
    DeliveryStatus,
    EventStatus,
    destination_circuit,
)
from bridge.operations.pause import stopped_circuits
from bridge.store import stats
from bridge.store.stats import COUNT_LIMIT, HourlyCounts, Overview, QueueStats

#: How long ago a delivery may have died to be counted as recent.
_RECENTLY = timedelta(hours=24)
_GOOD = ("SUCCESS", "SUCCESS_LIKE")
_WAITING = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.IN_DOUBT)
#: Parts of a bar from the bottom up: colour, name, statuses. What is still waiting has
#: no status of its own.
_PARTS: tuple[tuple[str, str, tuple[DeliveryStatus, ...]], ...] = (
    (
        "good",
        "accepted or confirmed",
        (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED),
    ),
    ("waiting", "still waiting", ()),
    ("unsure", "held", (DeliveryStatus.HELD,)),
    ("bad", "dead or undelivered", (DeliveryStatus.DEAD, DeliveryStatus.UNDELIVERED)),
    (
        "quiet",
        "suppressed or dropped",
        (DeliveryStatus.SUPPRESSED, DeliveryStatus.DROPPED),
    ),
)


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the overview."""

    @blueprint.get("/")
    def overview() -> str:
        with bridge.store.read() as tx:
            found = stats.overview(tx)
        figures = stats.collect(bridge.store, _RECENTLY)
        stopped = stopped_circuits(bridge)
        return render_template(
            "overview.html",
            found=found,
            figures=figures,
            chart=_chart(found.hours),
            table=_by_route(found, figures, [one.name for one in bridge.config.routes]),
            stopped=[(one, *_names(one), _advice(one)) for one in stopped],
            waiting=sum(figures.count(one) for one in _WAITING),
            overdue=max((figures.overdue(one) for one in figures.due), default=None),
            parked=found.unused[EventStatus.PARKED],
            count_limit=COUNT_LIMIT,
            rates=_rates(bridge, found, figures.circuits),
            health=_health(found.outcomes),
            statuses=DeliveryStatus,
        )


def _by_route(
    found: Overview, figures: QueueStats, names: Sequence[str]
) -> list[tuple[str, Mapping[DeliveryStatus, int]]]:
    """Count the last day by route and status; waiting deliveries of any age."""
    counts: Counter[tuple[str, DeliveryStatus]] = Counter()
    for hour in found.hours:
        counts.update(hour.settled)
    counts.update(
        {pair: n for pair, n in figures.deliveries.items() if pair[1] in _WAITING}
    )
    routes = dict.fromkeys((*names, *sorted(route for route, _ in counts)))
    return [
        (route, {one: counts[route, one] for one in DeliveryStatus}) for route in routes
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The last day, one bar an hour."""

    #: By hour: its start, and colour, name and count of each part.
    bars: Sequence[tuple[datetime, Sequence[tuple[str, str, int]]]]
    #: The value of the highest line.
    top: int
    total: int
    #: Colour, name and count in the whole day.
    sums: Sequence[tuple[str, str, int]]


def _chart(hours: Sequence[HourlyCounts]) -> Chart:
    """Count hours, the oldest first."""
    bars = [(hour.start, [_part(hour, *part) for part in _PARTS]) for hour in hours]
    totals = [sum(count for *_, count in parts) for _, parts in bars]
    return Chart(
        bars=bars,
        top=_round_up(max(totals, default=0)),
        total=sum(totals),
        sums=[
            (tone, name, sum(parts[place][2] for _, parts in bars))
            for place, (tone, name, _) in enumerate(_PARTS)
        ],
    )


def _part(
    hour: HourlyCounts, tone: str, name: str, states: Sequence[DeliveryStatus]
) -> tuple[str, str, int]:
    count = sum(n for (_, status), n in hour.settled.items() if status in states)
    return tone, name, count if states else max(0, hour.active)


def _round_up(number: int) -> int:
    """Find the next number that is easy to read: 1, 2 or 5 and zeros."""
    size = 1
    while number > 5 * size:
        size *= 10
    return next(step * size for step in (1, 2, 5) if number <= step * size)


def _names(circuit: Circuit) -> tuple[str, str]:
    kind, _, name = circuit.name.partition(":")
    return kind.capitalize(), name


def _advice(circuit: Circuit) -> str:
    """Say what to do about a circuit breaker that is not running."""
    if circuit.state is CircuitState.PAUSED:
        return "Paused by an operator, until somebody resumes it."
    kind, _, _ = circuit.name.partition(":")
    what = "key, host and data center" if kind == "destination" else "the campaign"
    return (
        f"Fix what the reason names ({what}). The bridge checks every 5 minutes and "
        "continues by itself; Resume continues now. Waiting messages do not expire."
    )


def _rates(
    bridge: Bridge, found: Overview, circuits: Mapping[str, Circuit]
) -> list[tuple[str, float, float]]:
    """List destination, sends a second in the last minute, and the allowed rate."""
    rates = []
    for name, destination in bridge.destinations.items():
        allowed = destination.config.rate_per_second
        circuit = circuits.get(destination_circuit(name))
        is_behind = _is_behind(circuit, found.at)
        # Slots are reserved ahead where more is due than may be sent.
        rate = allowed if is_behind else min(allowed, found.sends / 60)
        rates.append((name, rate, allowed))
    return rates


def _is_behind(circuit: Circuit | None, now: datetime) -> bool:
    slot = None if circuit is None else circuit.next_slot_at
    return slot is not None and slot > now


def _health(outcomes: Sequence[str]) -> tuple[int, int]:
    """Count the attempts that succeeded, and all."""
    return sum(one in _GOOD for one in outcomes), len(outcomes)
