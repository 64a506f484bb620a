"""Claims under a lease, and the results that settle them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.model import (
    TRANSITIONS,
    AttemptResult,
    CircuitState,
    Claim,
    DeliveryStatus,
    Trigger,
)
from bridge.store import Store, circuits, in_doubt, queue
from tests.store.conftest import new_delivery, new_event
from tests.store.ledger import add, attempt_rows, delivery_row, status_of

Fill = Callable[..., list[str]]
Tick = Callable[..., datetime]
Claiming = Callable[..., list[Claim]]
Result = Callable[..., AttemptResult]
SECOND = timedelta(seconds=1)


def settle(store: Store, *results: AttemptResult) -> list[str]:
    with store.write() as tx:
        return queue.settle(tx, results)


def ids(claims: list[Claim]) -> list[str]:
    return [one.delivery_id for one in claims]


def test_claim_carries_what_an_attempt_needs(
    store: Store, claim: Claiming, tick: Tick
) -> None:
    expiry = tick() + timedelta(days=3)
    delivery = new_delivery("pub:p:v", expires_at=expiry)
    event = new_event(delivery)
    event = replace(event, capture=replace(event.capture, source="segment"))
    add(store, event)
    received, claimed = tick(), tick(seconds=4)
    [one] = claim()
    assert (one.delivery_id, one.route, one.key) == (delivery.id, "r", "pub:p:v")
    assert (one.destination, one.endpoint) == ("iterable", "email/target")
    assert (one.recipient, one.expires_at) == ("user-1", expiry)
    assert (one.attempt_no, one.attempts, one.unknown_outcomes) == (1, 0, 0)
    assert (one.age_started_at, one.claimed_at) == (received, claimed)
    assert (one.event_id, one.event_received_at) == (event.id, received)
    assert (one.capture.body, one.capture.source) == (event.capture.body, "segment")
    assert delivery_row(store, delivery.id).token == one.token
    assert status_of(store, delivery.id) is DeliveryStatus.SENDING


def test_claim_takes_the_longest_due_over_all_routes(
    fill: Fill, claim: Claiming, tick: Tick
) -> None:
    expected = []
    for route in ("a", "b", "a", "b", "c"):
        expected += fill(1, route=route)
        tick(seconds=0.5)
    assert ids(claim("c", "b", "a", limit=3)) == expected[:3]


@pytest.mark.parametrize(
    ("trigger", "status"),
    [
        (trigger, to)
        for (at, trigger), to in TRANSITIONS.items()
        if at is DeliveryStatus.SENDING
    ],
)
def test_every_trigger_while_sending_leads_where_the_table_says(
    store: Store,
    fill: Fill,
    claim: Claiming,
    result_of: Result,
    trigger: Trigger,
    status: DeliveryStatus,
) -> None:
    fill(1)
    [one] = claim()
    assert settle(store, result_of(one, trigger)) == [one.delivery_id]
    after = delivery_row(store, one.delivery_id)
    moves = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    assert after.status == status
    assert (after.due_at is not None) is moves
    assert after.unknown_outcomes == int(status is DeliveryStatus.IN_DOUBT)


def test_result_of_a_claim_that_passed_to_another_does_not_apply(
    store: Store, fill: Fill, claim: Claiming, result_of: Result, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(seconds=31)
    with store.write() as tx:
        in_doubt.expire_leases(tx)
        in_doubt.resolve(tx, one.delivery_id, Trigger.POLICY_RESEND)
    [two] = claim()
    assert settle(store, result_of(one, Trigger.GIVEN_UP)) == []
    assert status_of(store, one.delivery_id) is DeliveryStatus.SENDING
    assert settle(store, result_of(two, Trigger.ANSWERED_OK)) == [two.delivery_id]
    outcomes = [one.outcome for one in attempt_rows(store, two.delivery_id)]
    assert outcomes == ["RETRY", "SUCCESS"]


@pytest.mark.parametrize("name", ["destination:iterable", "route:r"])
def test_age_begins_when_a_circuit_breaker_last_closed(
    store: Store, fill: Fill, claim: Claiming, tick: Tick, name: str
) -> None:
    fill(1)
    [other] = fill(1, route="other", destination="elsewhere")
    received = tick()
    with store.write() as tx:
        circuits.open(tx, name, "wrong key", 300 * SECOND)
    closed = tick(hours=2)
    with store.write() as tx:
        circuits.close(tx, name)
    tick(hours=1)
    ages = {one.delivery_id: one.age_started_at for one in claim("r", "other")}
    assert ages.pop(other) == received
    assert list(ages.values()) == [closed]


def test_deliveries_of_routes_that_are_gone_are_held(
    store: Store, fill: Fill, claim: Claiming, result_of: Result
) -> None:
    gone = [*fill(2, route="gone"), *fill(1, route="lost")]
    [kept] = fill(1, route="kept")
    [doubted] = fill(1, route="doubted")
    [one] = claim("doubted")
    settle(store, result_of(one, Trigger.OUTCOME_UNKNOWN, delay=60 * SECOND))
    [sending] = fill(1, route="away")
    claim("away")
    with store.write() as tx:
        assert queue.hold_unrouted(tx, ["kept", "new"]) == 4
        assert queue.hold_unrouted(tx, ["kept", "new"]) == 0
    held = {status_of(store, one) for one in (*gone, doubted)}
    assert held == {DeliveryStatus.HELD}
    assert status_of(store, kept) is DeliveryStatus.PENDING
    assert status_of(store, sending) is DeliveryStatus.SENDING


def test_deliveries_under_a_previous_name_of_their_route_take_the_new_one(
    store: Store, fill: Fill, claim: Claiming
) -> None:
    waiting = fill(2, route="old")
    with store.write() as tx:
        circuits.pause(tx, "route:old", "under review")
        for rename in (queue.rename_route, circuits.rename_route):
            rename(tx, "new", ["old", "older"])
        found = circuits.read_all(tx)
    assert "route:old" not in found
    assert found["route:new"].state is CircuitState.PAUSED
    assert found["route:new"].reason == "under review"
    assert sorted(ids(claim("new"))) == waiting


class TestAfterTheClockWentBack:
    def test_what_waits_beyond_any_wait_is_due_now(
        self, store: Store, clock: Any, fill: Fill, claim: Claiming
    ) -> None:
        clock.now += timedelta(hours=1)
        waiting = fill(3)
        clock.now -= timedelta(hours=1)
        assert claim() == []
        with store.write() as tx:
            assert queue.reset_far_future(tx) == 3
            assert queue.reset_far_future(tx) == 0
        assert sorted(ids(claim())) == sorted(waiting)

    def test_a_lease_of_a_dead_worker_ends_within_a_quarter_of_an_hour(
        self, store: Store, clock: Any, fill: Fill, claim: Claiming
    ) -> None:
        clock.now += timedelta(hours=1)
        fill(1)
        [one] = claim()
        clock.now -= timedelta(hours=1)
        with store.write() as tx:
            assert queue.reset_far_future(tx) == 1
            # A worker that is alive still has time to settle it.
            assert in_doubt.expire_leases(tx) == []
        clock.now += timedelta(minutes=15)
        with store.write() as tx:
            assert in_doubt.expire_leases(tx) == [one.delivery_id]

    def test_a_probe_is_due_now(self, store: Store, clock: Any) -> None:
        clock.now += timedelta(hours=1)
        with store.write() as tx:
            circuits.open(tx, "route:r", "wrong", 300 * SECOND)
        clock.now -= timedelta(hours=1)
        with store.write() as tx:
            queue.reset_far_future(tx)
            assert circuits.get(tx, "route:r").probe_at == clock.now
