"""Claims and what becomes of them: leases, lanes, settlements, doubts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.errors import TransitionError
from bridge.model import (
    TRANSITIONS,
    Cause,
    Claim,
    DeliveryStatus,
    GateState,
    Lane,
    Settlement,
)
from bridge.store import DeliveryRow, Doubt, Store, Story, new_id

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
Tick = Callable[..., datetime]
Claiming = Callable[..., list[Claim]]
SECOND = timedelta(seconds=1)


def row(store: Store, delivery_id: str) -> DeliveryRow:
    return story(store, delivery_id).delivery


def story(store: Store, delivery_id: str) -> Story:
    found = store.ledger.story(delivery_id)
    assert found is not None
    return found


def settle(store: Store, *settlements: Settlement) -> list[str]:
    with store.write() as tx:
        return store.queue.settle(tx, settlements)


def expire(store: Store) -> list[str]:
    with store.write() as tx:
        return store.queue.expire_leases(tx)


def doubts(store: Store) -> list[Doubt]:
    with store.write() as tx:
        return store.queue.doubtful(tx, 10)


def decide(
    store: Store, delivery_id: str, cause: Cause, delay: timedelta | None = None
) -> bool:
    with store.write() as tx:
        return store.queue.decide_doubt(tx, delivery_id, cause, delay, "why")


def test_claim_carries_what_an_attempt_needs(
    store: Store, new_arrival: Made, new_delivery: Made, claim: Claiming, tick: Tick
) -> None:
    expiry = tick() + timedelta(days=3)
    delivery = new_delivery("pub:p:v", voucher_expires_at=expiry)
    arrival = new_arrival(delivery)
    store.commits.add(arrival)
    received, claimed = tick(), tick(seconds=5)
    [one] = claim()
    assert (one.delivery_id, one.route, one.key) == (delivery.id, "r", "pub:p:v")
    assert (one.number, one.attempts, one.doubts) == (1, 0, 0)
    assert (one.aging_since, one.claimed_at) == (received, claimed)
    assert (one.event_id, one.event_received_at) == (arrival.id, received)
    assert (one.capture.body, one.event_repeats) == (arrival.capture.body, 0)
    assert (one.voucher_expires_at, one.endpoint) == (expiry, "email/target")
    assert row(store, delivery.id).status is DeliveryStatus.SENDING


def test_what_is_claimed_is_not_claimed_again(fill: Made, claim: Claiming) -> None:
    fill(3)
    assert len(claim()) == 3
    assert claim() == []


def test_claim_takes_the_longest_due_over_all_routes(
    fill: Made, claim: Claiming, tick: Tick
) -> None:
    expected = []
    for route in ("a", "b", "a", "b", "c"):
        expected += fill(1, route=route)
        tick(seconds=1)
    taken = [one.delivery_id for one in claim("c", "b", "a", limit=3)]
    assert taken == expected[:3]


def test_only_named_routes_and_due_times_and_the_lane_are_claimed(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1, route="closed")
    fill(1, route="r")
    [one] = claim("r")
    settle(store, settlement(one, Cause.NOT_PROCESSED, delay=10 * SECOND))
    assert claim("r", lane=Lane.RETRY) == []
    tick(seconds=10)
    assert claim("r", lane=Lane.FRESH) == []
    assert [two.delivery_id for two in claim("r", lane=Lane.RETRY)] == [one.delivery_id]


@pytest.mark.parametrize(("routes", "limit"), [((), 5), (("r",), 0), (("r",), -1)])
def test_claim_of_nothing_is_nothing(
    store: Store, fill: Made, routes: tuple[str, ...], limit: int
) -> None:
    fill(1)
    with store.write() as tx:
        claims = store.queue.claim(tx, routes, Lane.FRESH, limit, SECOND, new_id())
    assert claims == []


def test_threads_claim_each_delivery_once(
    another_store: Callable[[], Store], fill: Made
) -> None:
    wanted = fill(100)
    stores = [another_store() for _ in range(4)]

    def take(store: Store) -> list[str]:
        taken: list[str] = []
        while True:
            with store.write(timeout=30) as tx:
                claims = store.queue.claim(
                    tx, ["r"], Lane.FRESH, 3, 60 * SECOND, new_id()
                )
            if not claims:
                return taken
            taken += [one.delivery_id for one in claims]

    with ThreadPoolExecutor(8) as threads:
        taken = [one for several in threads.map(take, stores * 2) for one in several]
    assert sorted(taken) == sorted(wanted)


def test_settling_a_success_ends_a_delivery_and_keeps_the_attempt(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(1)
    [one] = claim()
    said = settlement(one, Cause.ANSWERED_OK, scheduled_message_id=7)
    assert settle(store, said) == [one.delivery_id]
    told = story(store, one.delivery_id)
    assert told.delivery.status is DeliveryStatus.ACCEPTED
    assert (told.delivery.attempts, told.delivery.number) == (1, 1)
    assert (told.delivery.due_at, told.delivery.scheduled_message_id) == (None, 7)
    assert told.attempts == (said.attempt,)


def test_retry_waits_its_delay_in_the_retry_lane(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.NOT_PROCESSED, delay=9 * SECOND, reason="503"))
    after = row(store, one.delivery_id)
    assert (after.status, after.lane) == (DeliveryStatus.PENDING, Lane.RETRY)
    assert (after.due_at, after.reason) == (tick() + 9 * SECOND, "503")
    tick(seconds=9)
    [two] = claim(lane=Lane.RETRY)
    assert (two.number, two.attempts) == (2, 1)


def test_what_waited_for_long_makes_way_for_what_is_fresh(
    store: Store, fill: Made, claim: Claiming, tick: Tick
) -> None:
    old, older_elsewhere = fill(3), fill(1, route="other")
    tick(seconds=6)
    fresh = fill(2)
    with store.write() as tx:
        assert store.queue.make_way(tx, ["r"], 5 * SECOND, 2) == 2
        assert store.queue.make_way(tx, ["r"], 5 * SECOND, 2) == 1
        assert store.queue.make_way(tx, ["r"], 5 * SECOND, 2) == 0
    assert {one.delivery_id for one in claim("r")} == set(fresh)
    assert {one.delivery_id for one in claim("r", lane=Lane.RETRY)} == set(old)
    assert [one.delivery_id for one in claim("other")] == older_elsewhere


@pytest.mark.parametrize("cause", [Cause.UNSENT, Cause.GATE_CLOSED])
def test_delivery_that_was_not_at_fault_keeps_its_lane_and_count(
    store: Store, fill: Made, claim: Claiming, settlement: Made, cause: Cause
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, cause, is_counted=False))
    after = row(store, one.delivery_id)
    assert (after.status, after.lane) == (DeliveryStatus.PENDING, Lane.FRESH)
    assert (after.attempts, after.number) == (0, 1)
    [two] = claim()
    assert (two.number, two.attempts) == (2, 0)


def test_delivery_given_back_without_an_attempt_is_as_before(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.UNSENT, attempt=None))
    [two] = claim()
    assert (two.number, two.attempts) == (1, 0)
    assert story(store, one.delivery_id).attempts == ()


@pytest.mark.parametrize(
    ("cause", "status"),
    [(cause, to) for (at, cause), to in TRANSITIONS.items() if at == "sending"],
)
def test_every_cause_that_strikes_while_sending_leads_where_the_table_says(
    store: Store,
    fill: Made,
    claim: Claiming,
    settlement: Made,
    cause: Cause,
    status: DeliveryStatus,
) -> None:
    fill(1)
    [one] = claim()
    assert settle(store, settlement(one, cause)) == [one.delivery_id]
    after = row(store, one.delivery_id)
    assert after.status is status
    moves = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    assert (after.due_at is not None) is moves
    assert after.doubts == int(status is DeliveryStatus.IN_DOUBT)


def test_cause_without_a_place_is_refused(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(1)
    [one] = claim()
    with pytest.raises(TransitionError):
        settle(store, settlement(one, Cause.CLAIMED))


def test_settlement_of_a_claim_that_passed_to_another_does_not_apply(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(seconds=31)
    expire(store)
    decide(store, one.delivery_id, Cause.POLICY_RESEND)
    [two] = claim(lane=Lane.RETRY)
    assert two.token != one.token
    assert settle(store, settlement(one, Cause.GIVEN_UP)) == []
    assert row(store, one.delivery_id).status is DeliveryStatus.SENDING
    assert settle(store, settlement(two, Cause.ANSWERED_OK)) == [two.delivery_id]
    assert [one.outcome for one in story(store, two.delivery_id).attempts] == [
        "RETRY",
        "SUCCESS",
    ]


def test_settling_twice_applies_once(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.NOT_PROCESSED))
    tick(microseconds=1)
    assert settle(store, settlement(one, Cause.NOT_PROCESSED)) == []
    assert row(store, one.delivery_id).attempts == 1


def test_settlement_of_an_unknown_delivery_does_not_disturb_the_others(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(2)
    first, second = claim()
    stray = settlement(first, Cause.ANSWERED_OK, delivery_id=new_id())
    applied = settle(store, stray, settlement(second, Cause.ANSWERED_OK))
    assert applied == [second.delivery_id]


def test_lease_that_ran_out_leaves_a_doubt_with_its_attempt(
    store: Store, fill: Made, claim: Claiming, tick: Tick
) -> None:
    fill(2)
    [one] = claim(limit=1)
    tick(seconds=29)
    assert expire(store) == []
    tick(seconds=1)
    assert expire(store) == [one.delivery_id]
    told = story(store, one.delivery_id)
    assert told.delivery.status is DeliveryStatus.IN_DOUBT
    assert (told.delivery.doubts, told.delivery.attempts) == (1, 1)
    [attempt] = told.attempts
    assert (attempt.number, attempt.outcome, attempt.payload) == (1, "unknown", None)
    assert "vanished" in attempt.reason
    assert expire(store) == []
    [doubt] = doubts(store)
    assert (doubt.delivery_id, doubt.token) == (one.delivery_id, one.token)
    assert (doubt.route, doubt.doubts, doubt.number) == ("r", 1, 1)


def test_success_that_comes_after_the_lease_ends_the_doubt(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(seconds=30)
    expire(store)
    late = settlement(one, Cause.ANSWERED_OK)
    assert settle(store, late) == [one.delivery_id]
    told = story(store, one.delivery_id)
    assert told.delivery.status is DeliveryStatus.ACCEPTED
    assert (told.delivery.attempts, told.delivery.number) == (1, 1)
    assert told.attempts == (late.attempt,)
    assert doubts(store) == []


@pytest.mark.parametrize("cause", [Cause.POLICY_HOLD, Cause.POLICY_RESEND])
def test_success_that_comes_after_the_decision_still_counts(
    store: Store,
    fill: Made,
    claim: Claiming,
    settlement: Made,
    tick: Tick,
    cause: Cause,
) -> None:
    fill(1)
    [one] = claim()
    tick(seconds=30)
    expire(store)
    with store.write() as tx:
        store.queue.decide_doubt(tx, one.delivery_id, cause, None, "decided")
    settle(store, settlement(one, Cause.ANSWERED_OK))
    assert row(store, one.delivery_id).status is DeliveryStatus.ACCEPTED
    assert claim(lane=Lane.RETRY) == []


def test_a_worker_held_up_may_speak_before_anything_is_decided(
    store: Store, fill: Made, claim: Claiming, tick: Tick
) -> None:
    fill(1)
    claim()
    tick(seconds=30)
    with store.write() as tx:
        store.queue.expire_leases(tx, 15 * SECOND)
    assert doubts(store) == []
    tick(seconds=15)
    assert len(doubts(store)) == 1


def test_what_waits_under_an_earlier_name_of_its_route_takes_the_new_one(
    store: Store, fill: Made, claim: Claiming
) -> None:
    ids = fill(2, route="old")
    with store.write() as tx:
        store.gates.pause(tx, "route:old", "under review")
        store.adopt(tx, "new", ["old", "older"])
        gates = store.gates.read(tx)
    assert "route:old" not in gates
    paused = gates["route:new"]
    assert (paused.state, paused.reason) == (GateState.PAUSED, "under review")
    assert sorted(one.delivery_id for one in claim("new")) == ids


def test_failure_that_comes_after_the_lease_leaves_the_doubt(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(seconds=30)
    expire(store)
    assert settle(store, settlement(one, Cause.NOT_PROCESSED)) == []
    assert row(store, one.delivery_id).status is DeliveryStatus.IN_DOUBT


def test_doubt_is_due_after_its_delay(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.OUTCOME_UNKNOWN, delay=60 * SECOND))
    assert doubts(store) == []
    tick(seconds=60)
    assert [doubt.delivery_id for doubt in doubts(store)] == [one.delivery_id]


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (cause, to)
        for (at, cause), to in TRANSITIONS.items()
        if at == "in_doubt" and cause is not Cause.REPORTED_SENT
    ],
)
def test_every_decision_on_a_doubt_leads_where_the_table_says(
    store: Store,
    fill: Made,
    claim: Claiming,
    settlement: Made,
    cause: Cause,
    status: DeliveryStatus,
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.OUTCOME_UNKNOWN))
    assert decide(store, one.delivery_id, cause, 5 * SECOND)
    after = row(store, one.delivery_id)
    assert (after.status, after.reason) == (status, "why")
    moves = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    assert after.due_at == (one.claimed_at + 5 * SECOND if moves else None)


def test_decision_on_what_is_no_longer_in_doubt_does_not_apply(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.ANSWERED_OK))
    assert not decide(store, one.delivery_id, Cause.POLICY_RESEND)
    assert row(store, one.delivery_id).status is DeliveryStatus.ACCEPTED


def test_deliveries_of_routes_that_are_gone_are_held(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    gone = [*fill(2, route="gone"), *fill(1, route="lost")]
    kept = fill(1, route="kept")
    [doubted] = fill(1, route="doubted")
    [one] = claim("doubted")
    settle(store, settlement(one, Cause.OUTCOME_UNKNOWN, delay=60 * SECOND))
    with store.write() as tx:
        assert store.queue.hold_orphans(tx, ["kept", "new"]) == 4
        assert store.queue.hold_orphans(tx, ["kept", "new"]) == 0
    for delivery_id in (*gone, doubted):
        after = row(store, delivery_id)
        assert after.status is DeliveryStatus.HELD
        assert after.reason == "route no longer configured"
    assert row(store, kept[0]).status is DeliveryStatus.PENDING


def test_number_no_column_can_hold_is_left_out(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> None:
    fill(1)
    [one] = claim()
    settle(store, settlement(one, Cause.ANSWERED_OK, scheduled_message_id=2**70))
    assert row(store, one.delivery_id).scheduled_message_id is None
