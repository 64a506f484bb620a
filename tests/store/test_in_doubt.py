"""Deliveries in unknown: expired leases, checks, decisions, what else was sent."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bridge.model import (
    TRANSITIONS,
    AttemptResult,
    Claim,
    DeliveryStatus,
    InDoubtDelivery,
    Trigger,
)
from bridge.store import Store, in_doubt, queue
from tests.store.ledger import attempt_rows, delivery_row

Fill = Callable[..., list[str]]
Tick = Callable[..., datetime]
Claiming = Callable[..., list[Claim]]
Result = Callable[..., AttemptResult]
SECOND = timedelta(seconds=1)


def expire(store: Store, grace: timedelta = timedelta(0)) -> list[str]:
    with store.write() as tx:
        return in_doubt.expire_leases(tx, grace)


def due(store: Store) -> list[InDoubtDelivery]:
    with store.write() as tx:
        return in_doubt.due_for_check(tx, 10)


@pytest.fixture
def doubted(
    store: Store, fill: Fill, claim: Claiming, result_of: Result
) -> Callable[..., Claim]:
    """Have one delivery whose last send has an unknown outcome."""

    def made(**changes: timedelta) -> Claim:
        fill(1)
        [one] = claim()
        with store.write() as tx:
            queue.settle(tx, [result_of(one, Trigger.OUTCOME_UNKNOWN, **changes)])
        return one

    return made


def test_expired_lease_leaves_a_delivery_in_doubt_with_its_attempt(
    store: Store, fill: Fill, claim: Claiming, tick: Tick
) -> None:
    fill(2)
    [one] = claim(limit=1)
    claimed = tick()
    tick(seconds=29)
    assert expire(store) == []
    tick(seconds=1)
    assert expire(store) == [one.delivery_id]
    assert expire(store) == []
    [attempt] = attempt_rows(store, one.delivery_id)
    assert (attempt.number, attempt.outcome, attempt.payload) == (1, "unknown", None)
    assert attempt.started_at == claimed
    assert "vanished" in attempt.reason
    [found] = due(store)
    assert (found.delivery_id, found.token) == (one.delivery_id, one.token)
    assert (found.route, found.destination) == ("r", "iterable")
    assert (found.unknown_outcomes, found.attempt_no) == (1, 1)


@pytest.mark.parametrize(
    ("trigger", "status"),
    [
        (trigger, to)
        for (at, trigger), to in TRANSITIONS.items()
        if at is DeliveryStatus.IN_DOUBT
    ],
)
def test_every_decision_leads_where_the_table_says(
    store: Store,
    doubted: Callable[..., Claim],
    trigger: Trigger,
    status: DeliveryStatus,
) -> None:
    one = doubted()
    with store.write() as tx:
        assert in_doubt.resolve(
            tx, one.delivery_id, trigger, delay=5 * SECOND, reason="why"
        )
    after = delivery_row(store, one.delivery_id)
    moves = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    assert (after.status, after.reason) == (status, "why")
    assert after.due_at == (one.claimed_at + 5 * SECOND if moves else None)


def test_history_of_a_recipient_has_what_was_or_may_have_been_sent(
    store: Store,
    doubted: Callable[..., Claim],
    fill: Fill,
    claim: Claiming,
    result_of: Result,
    tick: Tick,
) -> None:
    fill(1)
    [old] = claim()
    with store.write() as tx:
        queue.settle(tx, [result_of(old, Trigger.ANSWERED_OK)])
    unknown = doubted()
    tick(days=2)
    fill(1)
    [recent] = claim()
    with store.write() as tx:
        queue.settle(tx, [result_of(recent, Trigger.ANSWERED_OK)])
    fill(1)
    [sending] = claim()
    fill(1, recipient="user-2")
    fill(1)  # never tried
    with store.read() as tx:
        found = in_doubt.recipient_history(tx, "user-1", tick() - timedelta(days=1))
    expected = [unknown, recent, sending]
    assert [one.delivery_id for one in found] == [one.delivery_id for one in expected]
    assert [len(one.attempts) for one in found] == [1, 1, 0]
    [attempt] = found[1].attempts
    assert attempt.ended_at - attempt.started_at == timedelta(milliseconds=80)
    assert attempt.payload == b'{"campaignId":1}'
