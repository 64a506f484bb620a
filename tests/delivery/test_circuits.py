"""Circuit breakers: who is stopped, who may pass as a trial, and what starts again."""

import time
from datetime import timedelta
from random import Random
from typing import Any

from bridge.model import (
    CircuitState,
    Classification,
    DeliveryStatus,
    FailureScope,
    destination_circuit,
    route_circuit,
)
from bridge.store import circuits, leases, queue
from tests.delivery.conftest import (
    ACCEPTED,
    UNKNOWN,
    Bench,
    make_destination,
    make_route,
    outcome,
)

ITERABLE = destination_circuit("iterable")
WRONG_KEY = outcome(Classification.CONFIG, status=401, scope=FailureScope.DESTINATION)
WRONG_CAMPAIGN = outcome(Classification.CONFIG, status=400, scope=FailureScope.ROUTE)


def state(bench: Bench, name: str) -> CircuitState:
    with bench.store.read() as tx:
        found = circuits.read_all(tx).get(name)
    return CircuitState.CLOSED if found is None else found.state


def level(bench: Bench) -> int:
    with bench.store.read() as tx:
        found = circuits.read_all(tx).get(ITERABLE)
    return 0 if found is None else found.trial_level


def probe_now(bench: Bench, *names: str) -> None:
    with bench.store.write() as tx:
        for name in names:
            circuits.defer_probe(tx, name, "now", timedelta(0))


def test_an_open_circuit_breaker_is_probed_then_tried_then_closed(
    bench: Bench, log_lines: list[Any]
) -> None:
    ids = [bench.put(f"k{number}") for number in range(5)]
    bench.iterable.answer = lambda _: WRONG_KEY
    bench.iterable.probe_answer = WRONG_KEY
    bench.start(concurrency=1)
    bench.until(lambda: state(bench, ITERABLE) is CircuitState.OPEN)
    bench.iterable.answer = lambda _: ACCEPTED
    bench.iterable.probe_answer = ACCEPTED
    probe_now(bench, ITERABLE)
    for delivery_id in ids:
        bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)
    assert None in bench.iterable.probed
    names = [one["event"] for one in log_lines if one["event"].startswith("circuit")]
    assert names == ["circuit.opened", "circuit.half_open", "circuit.closed"]


def test_where_a_receipt_is_needed_an_accepted_trial_closes_nothing(
    bench: Bench,
) -> None:
    first, second = bench.put("k1"), bench.put("k2")
    with bench.store.write() as tx:
        wait = timedelta(hours=1)
        circuits.open(tx, route_circuit("r"), "skipped", wait, needs_receipt=True)
    bench.start()
    bench.until(lambda: bench.iterable.sent)
    bench.await_status(first, DeliveryStatus.ACCEPTED)
    assert state(bench, route_circuit("r")) is CircuitState.OPEN
    assert bench.status(second) is DeliveryStatus.PENDING


def test_an_outage_costs_few_unknown_outcomes_and_ends_by_itself(
    bench: Bench, log_lines: list[Any]
) -> None:
    bench.iterable.answer = lambda _: UNKNOWN
    ids = [bench.put(f"k{number}") for number in range(60)]
    bench.start(concurrency=5)
    bench.until(lambda: level(bench) > 1)
    sent = len(bench.iterable.sent)
    bench.iterable.answer = lambda _: ACCEPTED
    bench.until(lambda: level(bench) == 0)
    bench.until(lambda: len(bench.iterable.sent) == len(ids))
    assert sent < 25
    names = [one["event"] for one in log_lines if one["event"].startswith("circuit")]
    assert names == ["circuit.half_open", "circuit.closed"]


def waits_for_its_probe(bench: Bench, name: str) -> bool:
    """Tell whether it is open, its next probe is not due soon, and no trial is out."""
    with bench.store.read() as tx:
        found = circuits.read_all(tx).get(name)
        is_sending = queue.is_sending(tx, ["r"])
    soon = bench.store.now() + timedelta(minutes=1)
    return bool(
        found
        and not is_sending
        and found.state is CircuitState.OPEN
        and found.probe_at
        and found.probe_at > soon
    )


def workers(bench: Bench) -> int:
    with bench.store.read() as tx:
        return leases.count_workers(tx)


def start_workers(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.start()
    bench.until(lambda: workers(bench) == count)


def test_of_several_workers_one_sends_the_trial(postgres_bench: Bench) -> None:
    bench, name = postgres_bench, route_circuit("r")
    bench.iterable.answer = lambda _: WRONG_CAMPAIGN
    # Only the test lets a trial through.
    bench.iterable.probe_answer = WRONG_CAMPAIGN
    with bench.store.write() as tx:
        circuits.open(tx, name, "x", timedelta(hours=1))
    start_workers(bench, 3)
    for number in range(10):
        bench.put(f"k{number}")
    for _ in range(6):
        bench.until(lambda: waits_for_its_probe(bench, name))
        sent = len(bench.iterable.sent)
        with bench.store.write() as tx:
            circuits.half_open(tx, name)
        bench.until(lambda: len(bench.iterable.sent) > sent)  # noqa: B023
        bench.until(lambda: waits_for_its_probe(bench, name))
        assert len(bench.iterable.sent) == sent + 1


def test_workers_that_open_close_and_pace_never_wait_in_a_circle(
    postgres_bench: Bench, log_lines: list[Any]
) -> None:
    bench = postgres_bench
    places = [make_destination(name) for name in ("a", "b")]
    routes = [make_route(f"r{n}", destination="ab"[n % 2]) for n in range(4)]
    bench.configure(*routes, destinations=tuple(places))
    answers = (ACCEPTED, WRONG_KEY, WRONG_CAMPAIGN, UNKNOWN, ACCEPTED)
    chosen = Random(7)
    for one in bench.fakes.values():
        one.answer = lambda _: chosen.choice(answers)
    start_workers(bench, 3)
    for number in range(120):
        route = routes[number % 4]
        bench.put(f"k{number}", route=route.name, destination=route.destination)
        if number % 10 == 0:
            probe_now(bench, *sorted(map(destination_circuit, "ab")))
            probe_now(bench, *(route_circuit(one.name) for one in routes))
            time.sleep(0.02)
    for process in bench.processes:
        process.end()
    assert [one for one in log_lines if one["event"] == "store.unavailable"] == []
    assert sum(len(one.sent) for one in bench.fakes.values()) > 10
