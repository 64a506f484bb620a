"""The first page: how things are, and what needs somebody."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response as Answer

from bridge.bootstrap import Bridge
from bridge.model import DeliveryStatus, EventStatus, Gate, GateState
from bridge.steering.gates import stopped_gates
from bridge.store import DESTINATION, MANY, Figures, Glance
from bridge.web.console.door import PATH
from bridge.web.console.picture import picture

#: How long ago a delivery may have died to be news.
_RECENTLY = timedelta(hours=24)
_GOOD = ("SUCCESS", "SUCCESS_LIKE")
_WAITING = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.IN_DOUBT)


def pages(bridge: Bridge) -> Blueprint:
    """Make the overview."""
    blueprint = Blueprint("overview", __name__, url_prefix=PATH)
    ledger = bridge.store.ledger

    @blueprint.get("")
    def home() -> Answer:
        return redirect(url_for("overview.show"))

    @blueprint.get("/")
    def show() -> str:
        glance, figures = ledger.glance(), ledger.figures(_RECENTLY)
        names = [route.name for route in bridge.config.routes]
        stopped = stopped_gates(bridge)
        return render_template(
            "overview.html",
            glance=glance,
            figures=figures,
            picture=picture(glance.hours),
            table=_by_route(glance, figures, names),
            stopped=stopped,
            advice={gate.name: _advice(gate) for gate in stopped},
            waiting=sum(figures.count(one) for one in _WAITING),
            overdue=max((figures.overdue(one) for one in figures.due), default=None),
            parked=glance.unused[EventStatus.PARKED],
            many=MANY,
            rate=_rate(bridge, glance, figures.gates),
            budget=bridge.config.iterable.rate_per_second,
            health=_health(glance.outcomes),
            states=DeliveryStatus,
        )

    return blueprint


def _by_route(
    glance: Glance, figures: Figures, names: Sequence[str]
) -> list[tuple[str, Mapping[DeliveryStatus, int]]]:
    """Count the last day by route and state; what waits is counted whole."""
    counts: Counter[tuple[str, DeliveryStatus]] = Counter()
    for hour in glance.hours:
        counts.update(hour.settled)
    counts.update(
        {pair: n for pair, n in figures.deliveries.items() if pair[1] in _WAITING}
    )
    routes = dict.fromkeys((*names, *sorted(route for route, _ in counts)))
    return [
        (route, {one: counts[route, one] for one in DeliveryStatus}) for route in routes
    ]


def _advice(gate: Gate) -> str:
    """Say what to do about a gate that is not open."""
    if gate.state is GateState.PAUSED:
        return "Paused by hand. It stays so until somebody resumes it."
    what = "key, host and data centre" if gate.name == DESTINATION else "the campaign"
    return (
        f"Mend what the reason names ({what}). It is probed every five minutes and "
        "opens by itself; Resume opens it at once. What waits does not age."
    )


def _rate(bridge: Bridge, glance: Glance, gates: Mapping[str, Gate]) -> float:
    """Tell how many sends a second there were in the last minute."""
    budget = bridge.config.iterable.rate_per_second
    gate = gates.get(DESTINATION)
    slot = None if gate is None else gate.next_slot_at
    if slot is not None and slot > glance.at:
        return budget  # slots are taken ahead: there is more to send than may be
    return min(budget, glance.sends / 60)


def _health(outcomes: Sequence[str]) -> tuple[int, int]:
    """Count the attempts that went well, and all."""
    return sum(one in _GOOD for one in outcomes), len(outcomes)
