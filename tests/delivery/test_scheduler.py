"""The scheduler and the sender pool: what is due is sent once and settled."""

import time
from datetime import timedelta
from threading import Event
from typing import Any

import gevent
import pytest

from bridge.delivery import scheduler
from bridge.errors import StoreUnavailable
from bridge.model import DeliveryStatus, Outcome
from bridge.store import circuits, queue
from tests.delivery.conftest import (
    ACCEPTED,
    UNKNOWN,
    Bench,
    make_destination,
    make_route,
)


def forever(_: Any) -> Outcome:
    gevent.sleep(60)
    return ACCEPTED


def test_a_bug_before_the_send_costs_one_delivery_a_minute(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = bench.attempts.prepare

    def broken(claim: Any, event: Any) -> Any:
        if claim.key == "bad":
            raise ZeroDivisionError
        return prepare(claim, event)

    monkeypatch.setattr(bench.attempts, "prepare", broken)
    bad, good = bench.put("bad"), bench.put("good")
    bench.start()
    bench.await_status(good, DeliveryStatus.ACCEPTED)
    bench.until(lambda: bench.detail(bad).delivery.reason)
    row = bench.detail(bad).delivery
    assert row.reason == "the bridge failed on it: ZeroDivisionError"
    assert row.status is DeliveryStatus.PENDING
    assert row.due_at is not None
    assert row.due_at - row.updated_at == timedelta(minutes=1)


def test_an_event_is_read_once_for_all_its_messages(bench: Bench) -> None:
    ids = bench.put_event({f"k{number}": "user" for number in range(200)})
    neighbour = bench.put("neighbour")
    bench.start(concurrency=20)
    bench.await_status(neighbour, DeliveryStatus.ACCEPTED)
    for delivery_id in ids:
        bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)
    # Once for each time that none of its claims was held, and once for the neighbour.
    assert bench.source.parsed < 20


def test_a_slow_destination_does_not_hold_up_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "DRAIN", 0.1)
    both = make_destination("slow"), make_destination("quick")
    routes = make_route("a", destination="slow"), make_route("b", destination="quick")
    bench.configure(*routes, destinations=both)
    bench.fakes["slow"].answer = forever
    for number in range(20):
        bench.put(f"a{number}", route="a", destination="slow")
    bench.start(concurrency=2)
    bench.until(lambda: bench.fakes["slow"].sent)
    delivery_id = bench.put("b", route="b", destination="quick")
    bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)


def test_what_has_not_begun_at_the_stop_goes_back_untouched(bench: Bench) -> None:
    bench.configure(destinations=(make_destination(rate_per_second=5.0),))
    ids = [bench.put(f"k{number}") for number in range(10)]
    process = bench.start(concurrency=10)
    bench.until(lambda: bench.iterable.sent)
    process.end()
    rows = [bench.detail(one).delivery for one in ids]
    waiting = [row for row in rows if row.status is DeliveryStatus.PENDING]
    assert len(waiting) == 10 - len(bench.iterable.sent) > 0
    assert all(row.attempts == 0 for row in waiting)


def test_a_call_open_at_the_end_of_the_drain_is_left_in_doubt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "DRAIN", 0.2)
    bench.iterable.answer = forever
    delivery_id = bench.put()
    process = bench.start()
    bench.until(lambda: bench.iterable.sent)
    began = time.monotonic()
    process.end()
    assert time.monotonic() - began < 5
    detail = bench.detail(delivery_id)
    assert detail.delivery.status is DeliveryStatus.IN_DOUBT
    assert detail.attempts[0].payload is not None


def test_a_store_that_is_away_for_a_while_loses_no_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away = Event()
    settle = queue.settle

    def away(tx: Any, results: Any) -> Any:
        if results and not is_away.is_set():
            is_away.set()
            raise StoreUnavailable("away")
        return settle(tx, results)

    monkeypatch.setattr(queue, "settle", away)
    delivery_id = bench.put()
    bench.start()
    bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)
    assert is_away.is_set()
    assert len(bench.iterable.sent) == 1


def test_nothing_is_logged_of_a_tick_that_is_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, log_lines: list[Any]
) -> None:
    failures = [0]
    read_all = circuits.read_all

    def away(tx: Any) -> Any:
        # After settling, before the commit.
        if bench.iterable.sent and failures[0] < 3:
            failures[0] += 1
            raise StoreUnavailable("away")
        return read_all(tx)

    bench.iterable.answer = lambda _: UNKNOWN
    delivery_id = bench.put()
    monkeypatch.setattr(circuits, "read_all", away)
    bench.start()
    bench.await_status(delivery_id, DeliveryStatus.HELD)
    events = [line["event"] for line in log_lines]
    assert failures == [3]
    assert events.count("delivery.outcome_unknown") == 1
    assert events.count("store.unavailable") == 1


def test_the_clock_set_back_stops_nothing(bench: Bench) -> None:
    delivery_id = bench.put()
    with bench.store.write() as tx:
        tx.connection.exec_driver_sql("UPDATE deliveries SET due_at = due_at * 2")
    bench.start()
    bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)
