"""When people are alerted: counts in, conditions out; no clock, no I/O."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from bridge.config import Alerts
from bridge.model import (
    CircuitState,
    DeliveryStatus,
    destination_circuit,
    route_circuit,
)
from bridge.store.alerts import AlertState
from bridge.store.stats import QueueStats

#: Alerts about circuit breakers are named after them.
CIRCUITS = (destination_circuit(""), route_circuit(""))
WEBHOOK_FAILURES = "consecutive_webhook_failures"
#: A condition that holds ends at this part of its limit: a count that goes up and down
#: around the limit makes one alert.
ENDS_AT = 0.5
_MINUTES = 60

#: Summaries by name, in words that name no person; None for what does not hold.
Conditions = Mapping[str, str | None]


def judge(
    stats: QueueStats,
    limits: Alerts,
    routes: Mapping[str, str],
    firing: Collection[str],
) -> Conditions:
    """Compare counts with limits.

    Args:
        stats: Just counted.
        limits: As configured.
        routes: Names of the configured routes, with their destinations.
        firing: Names of the conditions that held until now.
    """
    # About the circuit breaker of a route that was removed there is nothing to say.
    gone = [name for name in firing if name.startswith(CIRCUITS)]
    found: dict[str, str | None] = dict.fromkeys(gone)
    for name, one in stats.circuits.items():
        # The person who paused one knows.
        if name.startswith(CIRCUITS):
            is_open = one.state in (CircuitState.OPEN, CircuitState.HALF_OPEN)
            reason = one.reason or "configuration error"
            found[name] = f"{name} is stopped: {reason}" if is_open else None
    for name, value, limit, summary in _measured(stats, limits, routes):
        bound = limit * ENDS_AT if name in firing else limit
        found[name] = summary if value > bound else None
    return found


def _measured(
    stats: QueueStats, limits: Alerts, routes: Mapping[str, str]
) -> Iterator[tuple[str, float, float, str]]:
    """Yield the conditions with a limit: name, value, limit and summary."""
    held, dead = stats.count(DeliveryStatus.HELD), stats.dead_recently
    text = f"{held} deliveries are held and wait for an operator"
    yield "held", held, limits.held, text
    text = f"{dead} deliveries died within the last 24 hours"
    yield "dead", dead, limits.dead, text
    age, most = _oldest(stats, routes), limits.max_queue_age.total_seconds()
    text = f"a delivery has been due for {_span(age)}, though no circuit breaker "
    yield "max_queue_age", age.total_seconds(), most, text + "holds it"
    text = f"parked webhooks: {stats.parked}; fix what their reasons name, then "
    yield "parked", stats.parked, limits.parked, text + "reprocess or dismiss them"
    growth = stats.ignored_growth
    text = f"{growth} more webhooks than the day before match no route"
    yield "ignored_growth", growth, limits.ignored_growth, text


class WebhookFailures:
    """Whether answers to webhooks fail, as far as this machine can tell.

    Args:
        limit: Failures in a row that are worth an alert.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        #: True while the present row of failures has been alerted.
        self._is_alerted = False

    def judge(
        self, failures: int, state: AlertState | None, last_webhook_at: datetime | None
    ) -> str | None:
        """Tell whether the condition holds: its summary, or None.

        An alert that another machine raised ends with the next webhook that is stored.

        Args:
            failures: Answers in a row that were not 2xx, on this machine.
            state: The alert until now.
            last_webhook_at: When the last webhook was stored, on any machine.
        """
        was_alerted, self._is_alerted = self._is_alerted, failures > 0
        if state is not None and state.is_firing:
            is_stored = last_webhook_at is not None and last_webhook_at > state.since
            is_over = not failures and (was_alerted or is_stored)
            return None if is_over else state.summary
        self._is_alerted = was_alerted and failures > 0
        if failures < self._limit or self._is_alerted:
            return None
        self._is_alerted = True
        return webhook_failures_summary(failures)


def webhook_failures_summary(failures: int) -> str:
    """Say what failing answers to webhooks lead to."""
    return (
        f"{failures} webhooks in a row were not answered with 2xx: Voucherify switches "
        "a webhook off after 12 failed repeats of one"
    )


def _oldest(stats: QueueStats, routes: Mapping[str, str]) -> timedelta:
    """Find the longest time that a due delivery waits behind no circuit breaker."""
    stopped = {name for name, one in stats.circuits.items() if not one.is_running}
    ages = [
        stats.overdue(route)
        for route, destination in routes.items()
        if stopped.isdisjoint({route_circuit(route), destination_circuit(destination)})
    ]
    return max(ages, default=timedelta(0))


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / _MINUTES)
    if minutes < _MINUTES:
        return f"{minutes} min"
    return f"{minutes // _MINUTES} h {minutes % _MINUTES} min"
