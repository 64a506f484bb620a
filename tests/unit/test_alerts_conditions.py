"""When an alert begins and when it is over."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.alerts.conditions import Upstream, judge
from bridge.config import Alerts
from bridge.model import DeliveryStatus, Gate, GateState
from bridge.store import Figures

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = Alerts(held=10, dead=10, oldest_due=timedelta(minutes=10), upstream_failures=3)


def gate(name: str, state: GateState) -> Gate:
    return Gate(
        name=name,
        state=state,
        reason="status 401: the key is refused",
        closed_at=NOW,
        probe_at=None,
        next_slot_at=None,
        paused_until=None,
    )


def figures(
    *gates: Gate, held: int = 0, died: int = 0, due_minutes: float = 0
) -> Figures:
    return Figures(
        at=NOW,
        deliveries={("a", DeliveryStatus.HELD): held},
        due={"a": NOW - timedelta(minutes=due_minutes)},
        died=died,
        gates={one.name: one for one in gates},
    )


def holding(found: Figures, *firing: str) -> set[str]:
    """Name the conditions that hold."""
    said = judge(found, LIMITS, ["a", "b"], firing)
    return {name for name, summary in said.items() if summary is not None}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (figures(held=11), "held"),
        (figures(died=11), "dead"),
        (figures(due_minutes=11), "oldest_due"),
        (figures(gate("destination", GateState.CLOSED)), "gate:destination"),
        (figures(gate("route:a", GateState.PROBING)), "gate:route:a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_condition_holds_beyond_its_limit(found: Figures, name: str) -> None:
    assert holding(found) == {name}


@pytest.mark.parametrize(
    "found",
    [
        figures(held=10, died=10, due_minutes=10),
        figures(due_minutes=-30),
        figures(gate("route:a", GateState.OPEN)),
    ],
    ids=["at the limit", "due later", "open"],
)
def test_what_is_within_its_limits_wakes_nobody(found: Figures) -> None:
    assert holding(found) == set()


def test_what_holds_is_over_at_half_of_its_limit() -> None:
    firing = ("held", "dead", "oldest_due")
    assert holding(figures(held=6, died=6, due_minutes=6), *firing) == set(firing)
    assert holding(figures(held=5, died=5, due_minutes=5), *firing) == set()


@pytest.mark.parametrize("name", ["destination", "route:a"])
@pytest.mark.parametrize("state", [GateState.CLOSED, GateState.PAUSED])
def test_what_a_gate_holds_back_is_not_late(name: str, state: GateState) -> None:
    found = holding(figures(gate(name, state), due_minutes=60))
    assert found == ({f"gate:{name}"} if state is GateState.CLOSED else set())


def test_a_gate_that_is_gone_or_paused_is_no_alert_any_more() -> None:
    found = figures(gate("route:a", GateState.PAUSED))
    said = judge(found, LIMITS, ["a"], ["gate:route:a", "gate:route:old"])
    assert said["gate:route:a"] is None
    assert said["gate:route:old"] is None


def test_upstream_holds_from_its_limit_to_the_next_success() -> None:
    upstream = Upstream(3)
    assert not upstream.judge(2, 10, is_firing=False)
    assert upstream.judge(3, 10, is_firing=False)
    assert upstream.judge(4, 10, is_firing=True)
    assert not upstream.judge(0, 11, is_firing=True)


def test_a_restarted_program_waits_for_a_success_of_its_own() -> None:
    upstream = Upstream(3)
    assert upstream.judge(0, 0, is_firing=True)
    assert not upstream.judge(0, 1, is_firing=True)


def test_a_row_of_failures_is_told_of_once_whoever_ends_it() -> None:
    upstream = Upstream(3)
    assert upstream.judge(3, 0, is_firing=False)
    assert not upstream.judge(4, 0, is_firing=False)
    assert not upstream.judge(0, 1, is_firing=False)
    assert upstream.judge(3, 1, is_firing=False)
