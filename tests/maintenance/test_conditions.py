"""When an alert begins and when it is over."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.config import Alerts
from bridge.maintenance.conditions import WebhookFailures, judge
from bridge.model import Circuit, CircuitState, DeliveryStatus
from bridge.store.alerts import AlertState
from bridge.store.stats import QueueStats

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = Alerts(
    held=10,
    dead=10,
    max_queue_age=timedelta(minutes=10),
    consecutive_webhook_failures=3,
    parked=10,
    ignored_growth=10,
)
ROUTES = {"a": "iterable", "b": "clevertap"}
DESTINATION = "destination:iterable"


def circuit(name: str, state: CircuitState) -> Circuit:
    return Circuit(name=name, state=state, reason="status 401: the key is rejected")


def stats(
    *circuits: Circuit,
    held: int = 0,
    dead: int = 0,
    due_minutes: float = 0,
    parked: int = 0,
    growth: int = 0,
) -> QueueStats:
    return QueueStats(
        at=NOW,
        deliveries={("a", DeliveryStatus.HELD): held},
        due={"a": NOW - timedelta(minutes=due_minutes)},
        dead_recently=dead,
        circuits={one.name: one for one in circuits},
        parked=parked,
        last_webhook_at=NOW,
        ignored_growth=growth,
    )


def holding(found: QueueStats, *firing: str) -> set[str]:
    """Name the conditions that hold."""
    judged = judge(found, LIMITS, ROUTES, firing)
    return {name for name, summary in judged.items() if summary is not None}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (stats(held=11), "held"),
        (stats(dead=11), "dead"),
        (stats(due_minutes=11), "max_queue_age"),
        (stats(parked=11), "parked"),
        (stats(growth=11), "ignored_growth"),
        (stats(circuit(DESTINATION, CircuitState.OPEN)), DESTINATION),
        (stats(circuit("route:a", CircuitState.HALF_OPEN)), "route:a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_condition_holds_beyond_its_limit(found: QueueStats, name: str) -> None:
    assert holding(found) == {name}


def test_a_condition_ends_at_half_of_its_limit() -> None:
    firing = ("held", "dead", "max_queue_age", "parked", "ignored_growth")
    above = stats(held=6, dead=6, due_minutes=6, parked=6, growth=6)
    assert holding(above, *firing) == set(firing)
    below = stats(held=5, dead=5, due_minutes=5, parked=5, growth=5)
    assert holding(below, *firing) == set()


def firing(since: datetime = NOW) -> AlertState:
    return AlertState(
        name="consecutive_webhook_failures",
        is_firing=True,
        was_firing=True,
        since=since,
        summary="3 webhooks in a row",
        tries=0,
        next_at=since,
    )


def test_webhook_failures_hold_from_their_limit_to_the_next_success() -> None:
    failures = WebhookFailures(3)
    assert failures.judge(2, None, NOW) is None
    assert failures.judge(3, None, NOW) is not None
    assert failures.judge(4, firing(), NOW) is not None
    assert failures.judge(0, firing(), NOW) is None


def test_a_row_of_failures_is_alerted_once_whichever_machine_ends_it() -> None:
    failures = WebhookFailures(3)
    assert failures.judge(3, None, NOW) is not None
    assert failures.judge(4, None, NOW) is None
    assert failures.judge(0, None, NOW) is None
    assert failures.judge(3, None, NOW) is not None
