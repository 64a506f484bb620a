"""Circuit breakers: their states, and the pace at a destination."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bridge.model import Circuit, CircuitState
from bridge.store import Store, Transaction, circuits

Tick = Callable[..., datetime]
SECOND = timedelta(seconds=1)
ROUTE = "route:r"
DESTINATION = "destination:iterable"


def write(store: Store, act: Callable[[Transaction], Any]) -> Any:
    with store.write() as tx:
        return act(tx)


def circuit(store: Store, name: str = ROUTE) -> Circuit:
    with store.read() as tx:
        return circuits.read_all(tx)[name]


def open_it(store: Store, reason: str = "wrong campaign", **choice: bool) -> bool:
    with store.write() as tx:
        return circuits.open(tx, ROUTE, reason, 300 * SECOND, **choice)


def close_it(store: Store, **choice: bool) -> bool:
    with store.write() as tx:
        return circuits.close(tx, ROUTE, **choice)


def half_open(store: Store) -> bool:
    with store.write() as tx:
        return circuits.half_open(tx, ROUTE)


def defer(store: Store) -> None:
    with store.write() as tx:
        circuits.defer_probe(tx, ROUTE, "503", 60 * SECOND)


def test_opening_tells_once_that_it_was_closed(store: Store, tick: Tick) -> None:
    opened_at = tick()
    assert open_it(store)
    tick(seconds=10)
    assert not open_it(store, "still wrong", needs_receipt=True)
    found = circuit(store)
    assert (found.state, found.reason) == (CircuitState.OPEN, "still wrong")
    assert (found.opened_at, found.probe_at) == (opened_at, opened_at + 300 * SECOND)
    assert found.needs_receipt


def test_closing_tells_whether_it_was_open_and_leaves_the_time(
    store: Store, tick: Tick
) -> None:
    assert not close_it(store)
    open_it(store, needs_receipt=True)
    closed_at = tick(hours=1)
    assert close_it(store)
    assert not close_it(store)
    assert circuit(store) == Circuit(name=ROUTE, closed_at=closed_at)


def test_pause_outlasts_errors_and_probes(store: Store, tick: Tick) -> None:
    opened_at = tick()
    open_it(store)
    tick(hours=1)
    write(store, lambda tx: circuits.pause(tx, ROUTE, "by Ann"))
    assert not open_it(store)
    assert not half_open(store)
    defer(store)
    assert not close_it(store, even_paused=False)
    found = circuit(store)
    assert (found.state, found.reason) == (CircuitState.PAUSED, "by Ann")
    assert (found.opened_at, found.probe_at) == (opened_at, None)
    assert close_it(store)


def reserve(store: Store, count: int, rate: float) -> list[timedelta]:
    with store.write() as tx:
        return circuits.reserve_slots(tx, DESTINATION, count, rate)


def available(store: Store, rate: float, horizon: timedelta = SECOND) -> int:
    with store.write() as tx:
        return circuits.available_slots(tx, DESTINATION, rate, horizon)


def test_slots_are_evenly_spaced_without_a_burst(store: Store, tick: Tick) -> None:
    first = reserve(store, 3, 50)
    assert first == [timedelta(milliseconds=20 * one) for one in range(3)]
    tick(seconds=0.01)
    assert reserve(store, 1, 50) == [timedelta(milliseconds=50)]
    tick(hours=1)
    assert reserve(store, 2, 50) == [timedelta(0), timedelta(milliseconds=20)]
    assert reserve(store, 0, 50) == []


def test_pause_of_a_destination_moves_every_slot(store: Store) -> None:
    for seconds in (60, 5):
        with store.write() as tx:
            circuits.pause_destination(tx, DESTINATION, seconds * SECOND)
    assert available(store, 50) == 0
    assert reserve(store, 1, 50) == [60 * SECOND]
    assert circuit(store, DESTINATION).is_running
