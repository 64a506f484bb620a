"""The ledger: lists, searches, stories, health, and mending by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.errors import StoreUnavailable, TransitionError
from bridge.model import (
    Cause,
    Claim,
    DeliveryStatus,
    EventStatus,
    GateState,
    Lane,
    sources,
)
from bridge.store import By, DeliveryFilter, DeliveryRow, EventFilter, Store

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
Tick = Callable[..., datetime]
Claiming = Callable[..., list[Claim]]

#: A cause that leads a claimed delivery into each state.
INTO = {
    DeliveryStatus.PENDING: Cause.NOT_PROCESSED,
    DeliveryStatus.IN_DOUBT: Cause.OUTCOME_UNKNOWN,
    DeliveryStatus.HELD: Cause.UNUSABLE,
    DeliveryStatus.ACCEPTED: Cause.ANSWERED_OK,
    DeliveryStatus.DEAD: Cause.GIVEN_UP,
    DeliveryStatus.SUPPRESSED: Cause.MUST_NOT_SEND,
}


@pytest.fixture
def bring(
    store: Store, fill: Made, claim: Claiming, settlement: Made
) -> Callable[..., str]:
    """Make a delivery and bring it into a state; return its id."""

    def made(status: DeliveryStatus, **changes: Any) -> str:
        [delivery_id] = fill(1, **changes)
        [one] = claim(changes.get("route", "r"))
        if status is not DeliveryStatus.SENDING:
            with store.write() as tx:
                said = settlement(one, INTO[status], delay=timedelta(hours=1))
                store.queue.settle(tx, [said])
        return str(delivery_id)

    return made


def row(store: Store, delivery_id: str) -> DeliveryRow:
    story = store.ledger.story(delivery_id)
    assert story is not None
    return story.delivery


def found(store: Store, **wanted: Any) -> list[str]:
    return [one.id for one in store.ledger.deliveries(DeliveryFilter(**wanted))]


def redeliver(store: Store, *ids: str, force: bool = False) -> list[str]:
    with store.write() as tx:
        return store.ledger.redeliver(tx, ids, force=force, by=By.SHELL)


def test_deliveries_are_listed_newest_first_by_pages(store: Store, fill: Made) -> None:
    expected = fill(5)[::-1]
    assert found(store) == expected
    assert found(store, limit=2) == expected[:2]
    assert found(store, limit=2, after=expected[1]) == expected[2:4]


def test_deliveries_are_listed_by_status_route_and_time(
    store: Store, fill: Made, tick: Tick, bring: Callable[..., str]
) -> None:
    held = bring(DeliveryStatus.HELD, route="a")
    since = tick(hours=1)
    [waiting] = fill(1, route="b")
    assert found(store, status=DeliveryStatus.HELD) == [held]
    assert found(store, route="b") == [waiting]
    assert found(store, since=since) == [waiting]
    assert found(store, status=DeliveryStatus.HELD, route="b") == []


@pytest.mark.parametrize(
    "term",
    ["u-77", "u-", "SECOND-2", "SEC", "FIRST-1, S", "Wel", "Welcome 50%", "cust_77"],
)
def test_search_finds_what_a_person_knows(store: Store, fill: Made, term: str) -> None:
    fill(1)
    [wanted] = fill(
        1,
        recipient="u-77",
        codes=("FIRST-1", "SECOND-2"),
        campaign="Welcome 50%",
        customer_id="cust_77",
    )
    fill(1, campaign=None, customer_id=None)
    assert wanted in found(store, search=term)
    assert len(found(store, search=term)) <= 2


def test_search_finds_keys_and_ids(
    store: Store, new_arrival: Made, new_delivery: Made, fill: Made
) -> None:
    delivery = new_delivery("pub:pub_77:v_77")
    arrival = new_arrival(delivery)
    store.commits.add(arrival)
    fill(1)
    key = "pub:pub_77"
    for term in (key, delivery.id, delivery.id.upper(), delivery.id[:30], arrival.id):
        assert found(store, search=term) == [delivery.id]


@pytest.mark.parametrize(
    "term",
    [
        "%",
        "_",
        "user-1'",
        "zzz",
        "\ud800",
        "\0",
        "01a1fd9e-5ab9-753e-9686-37bcf741f509",
    ],
)
def test_search_for_nonsense_finds_nothing(store: Store, fill: Made, term: str) -> None:
    fill(2)
    assert found(store, search=term) == []


def test_route_that_cannot_even_be_asked_for_is_no_raw_error(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="no form"):
        found(store, route="\udcff")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "0" * 36, "\ud800", "01a1fd9e-5ab9-753e-9686-37bcf741f509"]
)
def test_id_of_nothing_finds_nothing(store: Store, text: str) -> None:
    assert store.ledger.story(text) is None
    assert store.ledger.event(text) is None
    assert redeliver(store, text) == []
    with store.write() as tx, pytest.raises(TransitionError):
        store.ledger.resolve(tx, text, Cause.RESOLVED_SENT, "why", by=By.SHELL)


def test_events_are_listed_newest_first_by_status_and_pages(
    store: Store, new_arrival: Made, tick: Tick
) -> None:
    ids = []
    for number in range(4):
        status = EventStatus.PARKED if number % 2 else EventStatus.IGNORED
        ids.append(store.commits.add(new_arrival(status=status)).event_id)
        tick(hours=1)

    def listed(**wanted: Any) -> list[str]:
        return [one.id for one in store.ledger.events(EventFilter(**wanted))]

    assert listed() == ids[::-1]
    assert listed(status=EventStatus.PARKED) == [ids[3], ids[1]]
    assert listed(limit=1, after=ids[2]) == [ids[1]]
    assert listed(since=tick(hours=-2)) == [ids[3], ids[2]]


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("status", [*INTO, DeliveryStatus.SENDING])
def test_redelivering_follows_the_state_table(
    store: Store, bring: Callable[..., str], status: DeliveryStatus, is_forced: bool
) -> None:
    delivery_id = bring(status)
    cause = Cause.REDELIVER_FORCED if is_forced else Cause.REDELIVER
    expected = [delivery_id] if status in sources(cause) else []
    assert redeliver(store, delivery_id, force=is_forced) == expected
    changes = row(store, delivery_id).status is not status
    assert changes is (bool(expected) and status is not DeliveryStatus.PENDING)


def test_redelivered_delivery_starts_anew_and_keeps_its_past(
    store: Store, bring: Callable[..., str], claim: Claiming, tick: Tick
) -> None:
    delivery_id = bring(DeliveryStatus.DEAD)
    now = tick(hours=5)
    redeliver(store, delivery_id)
    again = row(store, delivery_id)
    assert (again.lane, again.due_at, again.aging_since) == (Lane.FRESH, now, now)
    assert (again.attempts, again.doubts, again.number) == (0, 0, 1)
    assert again.reason is None
    [one] = claim()
    assert (one.number, one.attempts) == (2, 0)
    story = store.ledger.story(delivery_id)
    assert story is not None
    assert len(story.attempts) == 1


def test_forced_redelivery_outlives_a_late_answer(
    store: Store, fill: Made, claim: Claiming, settlement: Made, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(hours=1)
    with store.write() as tx:
        store.queue.expire_leases(tx)
    redeliver(store, one.delivery_id, force=True)
    with store.write() as tx:
        late = settlement(one, Cause.ANSWERED_OK)
        assert store.queue.settle(tx, [late]) == []
    assert row(store, one.delivery_id).status is DeliveryStatus.PENDING


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (Cause.RESOLVED_SENT, DeliveryStatus.ACCEPTED),
        (Cause.RESOLVED_DROPPED, DeliveryStatus.DROPPED),
    ],
)
@pytest.mark.parametrize("before", [DeliveryStatus.HELD, DeliveryStatus.DEAD])
def test_person_closes_a_held_or_dead_delivery(
    store: Store,
    bring: Callable[..., str],
    before: DeliveryStatus,
    cause: Cause,
    status: DeliveryStatus,
) -> None:
    delivery_id = bring(before)
    with store.write() as tx:
        store.ledger.resolve(tx, delivery_id, cause, "called the customer", by=By.SHELL)
    after = row(store, delivery_id)
    assert (after.status, after.reason) == (status, "called the customer")


@pytest.mark.parametrize(
    "status", [DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.ACCEPTED]
)
def test_person_closes_nothing_else(
    store: Store, bring: Callable[..., str], status: DeliveryStatus
) -> None:
    delivery_id = bring(status)
    with store.write() as tx, pytest.raises(TransitionError):
        store.ledger.resolve(tx, delivery_id, Cause.RESOLVED_SENT, "why", by=By.SHELL)
    assert row(store, delivery_id).status is status


def test_health_of_an_empty_store_is_good(store: Store) -> None:
    health = store.ledger.health()
    assert (health.oldest_due_age, health.depth) == (None, 0)
    assert (health.by_status, health.gates) == ({}, {})


def test_health_counts_and_names_what_stands(
    store: Store, fill: Made, tick: Tick, bring: Callable[..., str]
) -> None:
    for status in (*INTO, DeliveryStatus.SENDING):
        bring(status)
    fill(2)
    tick(seconds=90)
    with store.write() as tx:
        store.gates.pause(tx, "route:r", "by Ann")
    health = store.ledger.health()
    assert health.depth == 3
    assert health.oldest_due_age == timedelta(seconds=90)
    assert health.by_status == {
        DeliveryStatus.PENDING: 3,
        DeliveryStatus.SENDING: 1,
        DeliveryStatus.IN_DOUBT: 1,
        DeliveryStatus.HELD: 1,
        DeliveryStatus.DEAD: 1,
        DeliveryStatus.SUPPRESSED: 1,
    }
    assert health.gates["route:r"].state is GateState.PAUSED


def test_waiting_routes_are_those_with_something_to_do(
    store: Store, fill: Made, bring: Callable[..., str]
) -> None:
    fill(2, route="b")
    fill(1, route="a")
    bring(DeliveryStatus.IN_DOUBT, route="c")
    bring(DeliveryStatus.ACCEPTED, route="done")
    assert store.ledger.waiting_routes() == {"a", "b", "c"}
