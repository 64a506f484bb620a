"""Gates: their states, the age of what waits, and the pace."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.model import Gate, GateState
from bridge.store import DESTINATION, Store, Tx

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
Tick = Callable[..., datetime]
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ROUTE = "route:r"


def write(store: Store, act: Callable[[Tx], Any]) -> Any:
    with store.write() as tx:
        return act(tx)


def gate(store: Store, name: str = ROUTE) -> Gate:
    with store.read() as tx:
        return store.gates.read(tx)[name]


def close(store: Store, name: str = ROUTE, reason: str = "wrong campaign") -> bool:
    with store.write() as tx:
        return store.gates.close(tx, name, reason, 300 * SECOND)


def reopen(store: Store, name: str = ROUTE, **choice: bool) -> bool:
    with store.write() as tx:
        return store.gates.open(tx, name, **choice)


def aging(store: Store, delivery_id: str) -> datetime:
    story = store.ledger.story(delivery_id)
    assert story is not None
    return story.delivery.aging_since


def test_gate_nobody_touched_is_not_listed(store: Store) -> None:
    with store.read() as tx:
        assert store.gates.read(tx) == {}


def test_closing_tells_once_that_it_was_open(store: Store, tick: Tick) -> None:
    closed_at = tick()
    assert close(store)
    tick(seconds=10)
    assert not close(store, reason="still wrong")
    found = gate(store)
    assert (found.state, found.reason) == (GateState.CLOSED, "still wrong")
    assert (found.closed_at, found.probe_at) == (closed_at, closed_at + 300 * SECOND)


def test_opening_tells_whether_it_was_shut_and_leaves_nothing(store: Store) -> None:
    assert not reopen(store)
    close(store)
    assert reopen(store)
    assert not reopen(store)
    found = gate(store)
    assert found.state is GateState.OPEN
    assert (found.reason, found.closed_at, found.probe_at) == (None, None, None)


def test_probe_passes_a_closed_gate_only(store: Store) -> None:
    write(store, lambda tx: store.gates.probing(tx, ROUTE))
    with store.read() as tx:
        assert store.gates.read(tx) == {}
    close(store)
    write(store, lambda tx: store.gates.probing(tx, ROUTE))
    assert gate(store).state is GateState.PROBING


def test_failed_probe_closes_again_since_the_first_time(
    store: Store, tick: Tick
) -> None:
    closed_at = tick()
    close(store)
    write(store, lambda tx: store.gates.probing(tx, ROUTE))
    tick(seconds=60)
    assert not close(store)
    found = gate(store)
    assert (found.state, found.closed_at) == (GateState.CLOSED, closed_at)
    assert found.probe_at == closed_at + 360 * SECOND


def test_deferred_probe_waits_and_says_why(store: Store, tick: Tick) -> None:
    close(store)
    write(store, lambda tx: store.gates.probing(tx, ROUTE))
    write(store, lambda tx: store.gates.defer_probe(tx, ROUTE, "503", 60 * SECOND))
    found = gate(store)
    assert (found.state, found.reason) == (GateState.CLOSED, "503")
    assert found.probe_at == tick() + 60 * SECOND


def test_pause_outlasts_errors_and_probes(store: Store) -> None:
    write(store, lambda tx: store.gates.pause(tx, ROUTE, "by Ann"))
    assert not close(store)
    write(store, lambda tx: store.gates.probing(tx, ROUTE))
    write(store, lambda tx: store.gates.defer_probe(tx, ROUTE, "503", SECOND))
    assert not reopen(store, even_paused=False)
    found = gate(store)
    assert (found.state, found.reason) == (GateState.PAUSED, "by Ann")
    assert found.probe_at is None
    assert reopen(store)


def test_pausing_a_closed_gate_keeps_the_time_it_closed(
    store: Store, tick: Tick
) -> None:
    closed_at = tick()
    close(store)
    tick(hours=1)
    write(store, lambda tx: store.gates.pause(tx, ROUTE, "by Ann"))
    assert gate(store).closed_at == closed_at


@pytest.mark.parametrize("name", [ROUTE, DESTINATION])
def test_what_waited_at_a_closed_gate_has_not_aged(
    store: Store, fill: Made, tick: Tick, name: str
) -> None:
    start = tick()
    [before] = fill(1)
    tick(hours=1)
    close(store, name)
    tick(hours=1)
    [meanwhile] = fill(1)
    tick(hours=1)
    reopen(store, name)
    assert aging(store, before) == start + 2 * HOUR
    assert aging(store, meanwhile) == tick()


def test_route_s_gate_concerns_its_own_deliveries_only(
    store: Store, fill: Made, tick: Tick
) -> None:
    start = tick()
    [other] = fill(1, route="other")
    close(store)
    tick(hours=1)
    reopen(store)
    assert aging(store, other) == start


@pytest.mark.parametrize("first", [ROUTE, DESTINATION])
@pytest.mark.parametrize("opens_first", [ROUTE, DESTINATION])
def test_time_at_two_closed_gates_counts_once(
    store: Store, fill: Made, tick: Tick, first: str, opens_first: str
) -> None:
    start = tick()
    [waiting] = fill(1)
    both = [ROUTE, DESTINATION]
    tick(hours=1)
    close(store, first)
    tick(hours=2)
    close(store, next(one for one in both if one != first))
    tick(hours=4)
    reopen(store, opens_first)
    tick(hours=8)
    reopen(store, next(one for one in both if one != opens_first))
    assert aging(store, waiting) == start + 14 * HOUR


def test_slots_are_evenly_spaced_without_a_burst(store: Store, tick: Tick) -> None:
    first = write(store, lambda tx: store.gates.take_slots(tx, 3, 50))
    assert first == [timedelta(milliseconds=20 * one) for one in range(3)]
    tick(seconds=0.01)
    [next_one] = write(store, lambda tx: store.gates.take_slots(tx, 1, 50))
    assert next_one == timedelta(milliseconds=50)
    tick(hours=1)
    later = write(store, lambda tx: store.gates.take_slots(tx, 2, 50))
    assert later == [timedelta(0), timedelta(milliseconds=20)]


def test_free_slots_are_those_before_the_horizon(store: Store) -> None:
    def free(rate: float, horizon: timedelta = SECOND) -> int:
        count = write(store, lambda tx: store.gates.free_slots(tx, rate, horizon))
        assert isinstance(count, int)
        return count

    assert free(50) == 51
    assert free(0.5) == 1
    write(store, lambda tx: store.gates.take_slots(tx, 51, 50))
    assert free(50) == 0
    assert free(50, 2 * SECOND) == 50


def test_nobody_takes_no_slots(store: Store) -> None:
    assert write(store, lambda tx: store.gates.take_slots(tx, 0, 50)) == []


@pytest.mark.parametrize("name", ["destination", "verify"])
def test_stores_share_one_pace(
    store: Store, another_store: Callable[[], Store], name: str
) -> None:
    other = another_store()
    slots = []
    for each in (store, other, store, other):
        with each.write() as tx:
            slots += each.gates.take_slots(tx, 5, 10, name=name)
    assert slots == [timedelta(milliseconds=100 * one) for one in range(20)]


def test_pause_of_the_destination_moves_every_slot(store: Store) -> None:
    write(store, lambda tx: store.gates.pause_destination(tx, 60 * SECOND))
    write(store, lambda tx: store.gates.pause_destination(tx, 5 * SECOND))
    assert write(store, lambda tx: store.gates.free_slots(tx, 50, SECOND)) == 0
    assert write(store, lambda tx: store.gates.take_slots(tx, 1, 50)) == [60 * SECOND]
    assert gate(store, DESTINATION).state is GateState.OPEN


def test_slots_reserved_before_the_clock_was_set_back_count_no_more(
    store: Store, tick: Callable[..., Any]
) -> None:
    with store.write() as tx:
        store.gates.take_slots(tx, 10, 10)
        store.gates.pause_destination(tx, timedelta(minutes=15))
    tick(hours=-1)
    with store.write() as tx:
        assert store.gates.free_slots(tx, 10, timedelta(seconds=1)) == 11
        assert store.gates.take_slots(tx, 1, 10) == [timedelta(0)]
