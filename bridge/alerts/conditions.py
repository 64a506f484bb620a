"""When somebody should be woken: figures in, conditions out; no clock, no I/O."""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from bridge.config import Alerts
from bridge.model import DeliveryStatus, Gate, GateState
from bridge.store import DESTINATION, Figures

GATE = "gate:"
HELD = "held"
DEAD = "dead"
OLDEST_DUE = "oldest_due"
UPSTREAM = "upstream"

#: A condition that holds ends at this part of its limit: what goes up and down around
#: the limit makes one alert.
ENDS_AT = 0.5

#: What holds, in words that name nobody; None for a condition that does not.
Findings = Mapping[str, str | None]


def judge(
    figures: Figures, limits: Alerts, routes: Collection[str], firing: Collection[str]
) -> Findings:
    """Look at what the store tells.

    Args:
        figures: Just counted.
        limits: As configured.
        routes: The configured names.
        firing: Conditions that held until now.
    """
    # Of a gate that is gone there is nothing to say any more.
    found: dict[str, str | None] = {
        name: None for name in firing if name.startswith(GATE)
    }
    found |= _gates(figures.gates)
    held = figures.count(DeliveryStatus.HELD)
    text = f"{held} deliveries are held: they wait for a person"
    found[HELD] = text if held > _limit(HELD, limits.held, firing) else None
    text = f"{figures.died} deliveries died within the last 24 hours"
    found[DEAD] = text if figures.died > _limit(DEAD, limits.dead, firing) else None
    age = _oldest(figures, routes)
    seconds = limits.oldest_due.total_seconds()
    is_old = age.total_seconds() > _limit(OLDEST_DUE, seconds, firing)
    text = f"a delivery has been due for {_span(age)}, though no gate holds it"
    found[OLDEST_DUE] = text if is_old else None
    return found


class Upstream:
    """Whether our answers to webhooks fail, as far as this program can tell.

    Args:
        limit: Failures in a row that are worth an alert.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        #: Webhooks stored when the condition was first seen to hold.
        self._stored: float | None = None
        #: Whether the row of failures that goes on now has been told of.
        self._is_told = False

    def judge(self, failures: float, stored: float, *, is_firing: bool) -> bool:
        """Tell whether the condition holds.

        A failure of another machine ends for this one with the next webhook it stores.

        Args:
            failures: Answers since the last 2xx.
            stored: Webhooks stored since the program began.
            is_firing: Whether it held until now.
        """
        if not failures:
            self._is_told = False
        if is_firing:
            self._stored = stored if self._stored is None else self._stored
            return bool(failures) or stored <= self._stored
        self._stored = None
        if failures < self._limit or self._is_told:
            return False
        self._stored, self._is_told = stored, True
        return True


def upstream_summary(failures: float) -> str:
    """Say what is wrong upstream."""
    return (
        f"{failures:.0f} webhooks in a row were not answered with 2xx: Voucherify "
        "switches a webhook off after 12 failed repeats of one"
    )


def _gates(gates: Mapping[str, Gate]) -> Iterator[tuple[str, str | None]]:
    for name, gate in gates.items():
        # Who paused a gate knows.
        is_shut = gate.state in (GateState.CLOSED, GateState.PROBING)
        text = f"gate {name} is closed: {gate.reason or 'configuration error'}"
        yield GATE + name, text if is_shut else None


def _limit(name: str, limit: float, firing: Collection[str]) -> float:
    return limit * ENDS_AT if name in firing else limit


def _oldest(figures: Figures, routes: Collection[str]) -> timedelta:
    """Find the longest due delivery among those that nothing holds back."""
    if not _is_open(figures.gates, DESTINATION):
        return timedelta(0)
    ages = [
        figures.overdue(route)
        for route in routes
        if _is_open(figures.gates, f"route:{route}")
    ]
    return max(ages, default=timedelta(0))


def _is_open(gates: Mapping[str, Gate], name: str) -> bool:
    gate = gates.get(name)
    return gate is None or gate.state is GateState.OPEN


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes > 59 else f"{minutes} min"  # noqa: PLR2004 - minutes
