"""What is old goes, in two steps; what waits, is held or is parked stays whole."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from bridge.config import Retention as Settings
from bridge.model import (
    Arrival,
    Attempt,
    Cause,
    Claim,
    DeliveryStatus,
    EventStatus,
    Match,
    NewDelivery,
    News,
    Report,
    Settlement,
)
from bridge.retention import Retention
from bridge.store import By, DeliveryFilter, EventFilter, Store, Story

pytestmark = pytest.mark.integration

BOTH = Settings(blank_after=timedelta(days=30), remove_after=timedelta(days=90))


@pytest.fixture
def sweep(store: Store) -> Callable[..., int]:
    """Sweep as a delivering process would, without its rests; count the steps."""

    def swept(settings: Settings = BOTH) -> int:
        return len(list(Retention(settings, store, Event()).sweep()))

    return swept


@pytest.fixture
def story(store: Store) -> Callable[[str], Story]:
    def told(delivery_id: str) -> Story:
        found = store.ledger.story(delivery_id)
        assert found is not None
        return found

    return told


@pytest.fixture
def settled(
    store: Store, fill: Callable[..., list[str]], claim: Callable[..., list[Claim]]
) -> Callable[..., str]:
    """Bring one delivery to an end, and return its id."""

    def done(cause: Cause = Cause.ANSWERED_OK) -> str:
        fill(1)
        (one,) = claim("r", limit=1)
        attempt = Attempt(
            number=one.number,
            started_at=one.claimed_at,
            duration=timedelta(seconds=1),
            outcome="SUCCESS",
            status=200,
            code="Success",
            reason="status 200",
            request_id=None,
            payload=b'{"recipientUserId": "user-1"}',
        )
        with store.write() as tx:
            store.queue.settle(
                tx,
                [
                    Settlement(
                        delivery_id=one.delivery_id,
                        token=one.token,
                        cause=cause,
                        reason=None,
                        attempt=attempt,
                    )
                ],
            )
        return one.delivery_id

    return done


def test_a_story_is_blanked_a_while_after_the_last_that_happened_to_it(
    settled: Callable[..., str],
    story: Callable[[str], Story],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    one = settled()
    tick(days=29)
    sweep()
    assert story(one).event.capture.body != b""
    now = tick(days=1)
    sweep()
    told = story(one)
    assert told.event.blanked_at == now
    assert (told.event.capture.body, told.event.capture.headers) == (b"", {})
    assert [attempt.payload for attempt in told.attempts] == [None]
    assert told.delivery.status is DeliveryStatus.ACCEPTED
    assert (told.delivery.recipient, told.delivery.code) == ("user-1", "CODE-1")


def test_a_story_is_removed_later_and_its_neighbours_stay(
    store: Store,
    settled: Callable[..., str],
    story: Callable[[str], Story],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    old = settled()
    tick(days=60)
    young = settled()
    tick(days=30)
    sweep()
    assert store.ledger.story(old) is None
    assert story(young).event.blanked_at is not None
    assert [row.id for row in store.ledger.deliveries(DeliveryFilter())] == [young]
    assert len(store.ledger.events(EventFilter())) == 1


@pytest.mark.parametrize("cause", [Cause.NOT_PROCESSED, Cause.OUTCOME_UNKNOWN])
def test_what_waits_is_never_touched(
    cause: Cause,
    settled: Callable[..., str],
    story: Callable[[str], Story],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    one = settled(cause)
    tick(days=400)
    sweep()
    assert story(one).event.blanked_at is None
    assert story(one).attempts[0].payload is not None


def test_what_is_held_is_never_touched_until_somebody_has_closed_it(
    store: Store,
    settled: Callable[..., str],
    story: Callable[[str], Story],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    one = settled(Cause.UNUSABLE)
    tick(days=400)
    sweep()
    assert story(one).event.blanked_at is None
    with store.write() as tx:
        store.ledger.resolve(tx, one, Cause.RESOLVED_DROPPED, "not wanted", by=By.SHELL)
    tick(days=29)
    sweep()
    assert story(one).event.blanked_at is None
    tick(days=1)
    sweep()
    assert story(one).event.blanked_at is not None


def test_one_delivery_that_waits_keeps_its_whole_event(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
    claim: Callable[..., list[Claim]],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    several = new_delivery("pub:1"), new_delivery("pub:2", route="closed")
    stored = store.commits.add(new_arrival(*several))
    (one,) = claim("r")
    with store.write() as tx:
        dead = Settlement(
            delivery_id=one.delivery_id,
            token=one.token,
            cause=Cause.GIVEN_UP,
            reason="no",
        )
        store.queue.settle(tx, [dead])
    tick(days=400)
    sweep()
    event = store.ledger.event(stored.event_id)
    assert event is not None
    assert event.capture.body != b""


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        (EventStatus.PARKED, True),
        (EventStatus.IGNORED, False),
        (EventStatus.DUPLICATE, False),
    ],
)
def test_of_events_without_deliveries_the_parked_ones_stay(
    status: EventStatus,
    stays: bool,
    store: Store,
    new_arrival: Callable[..., Arrival],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    store.commits.add(new_arrival(status=status))
    tick(days=30)
    sweep()
    (row,) = store.ledger.events(EventFilter())
    assert (row.blanked_at is None) is stays
    tick(days=60)
    sweep()
    assert bool(store.ledger.events(EventFilter())) is stays


def test_a_blanked_event_that_comes_again_is_decided_again_and_whole(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    ignored = new_arrival(transport_key="whs_1")
    store.commits.add(ignored)
    tick(days=30)
    sweep()
    again = store.commits.add(new_arrival(new_delivery(), transport_key="whs_1"))
    assert again.event_id == ignored.id
    event = store.ledger.event(ignored.id)
    assert event is not None
    assert event.blanked_at is None
    assert event.capture == ignored.capture


def test_keys_go_when_they_have_expired_and_not_with_their_delivery(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
    settled: Callable[..., str],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    settled()
    key = ("pub:long", timedelta(days=200))
    first = new_delivery("pub:long", keys=(key,))
    store.commits.add(new_arrival(first))
    tick(days=100)
    settings = Settings(remove_after=timedelta(days=30))
    assert keys_of(store) == 2
    sweep(settings)
    assert keys_of(store) == 1
    second = store.commits.add(new_arrival(new_delivery("pub:long", keys=(key,))))
    assert second.status is EventStatus.DUPLICATE


def keys_of(store: Store) -> int:
    with store.read() as tx:
        page = store.retiring.old_keys(tx, after=None, most=1)
        found = tx.connection.exec_driver_sql("SELECT count(*) FROM keys").scalar_one()
    assert (page.after is None) is (found < 1)
    return int(found)


def test_without_settings_nothing_is_ever_touched(
    settled: Callable[..., str],
    story: Callable[[str], Story],
    sweep: Callable[..., int],
    store: Store,
    tick: Callable[..., datetime],
) -> None:
    one = settled()
    tick(days=4000)
    assert Retention(Settings(), store, Event()).start() is None
    sweep(Settings())
    assert story(one).event.blanked_at is None


def test_a_long_ledger_is_swept_whole_in_many_small_steps(
    store: Store,
    fill: Callable[..., list[str]],
    claim: Callable[..., list[Claim]],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    fill(230)
    settlements = [
        Settlement(
            delivery_id=one.delivery_id,
            token=one.token,
            cause=Cause.GIVEN_UP,
            reason="no",
        )
        for one in claim("r", limit=230)
    ]
    with store.write() as tx:
        store.queue.settle(tx, settlements)
    tick(days=31)
    assert sweep() > 8
    rows = store.ledger.events(EventFilter(limit=1000))
    assert sum(row.blanked_at is not None for row in rows) == 230
    assert keys_of(store) == 0


def test_only_one_of_several_processes_sweeps_and_only_once_an_hour(
    store: Store,
    another_store: Callable[[], Store],
    settled: Callable[..., str],
    story: Callable[[str], Story],
    tick: Callable[..., datetime],
) -> None:
    first, second = (Retention(BOTH, one, Event()) for one in (store, another_store()))
    one = settled()
    tick(days=31)
    begun = first.sweep()
    next(begun)
    assert list(second.sweep()) == [120.0]
    assert list(begun)[-1] == 3600.0
    assert story(one).event.blanked_at is not None
    other = settled()
    tick(days=31, minutes=-1)
    tick(minutes=2)
    assert list(second.sweep())[-1] == 3600.0
    assert story(other).event.blanked_at is not None
    tick(minutes=59)
    assert list(first.sweep()) == [120.0]


def test_a_story_that_moved_between_the_look_and_the_step_is_left_alone(
    store: Store,
    settled: Callable[..., str],
    story: Callable[[str], Story],
    tick: Callable[..., datetime],
) -> None:
    one = settled()
    now = tick(days=31)
    before = now - timedelta(days=30)
    with store.read() as tx:
        page = store.retiring.old_events(tx, before, after=None, most=9, whole=True)
    assert len(page.events) == 1
    with store.write() as tx:
        assert store.ledger.redeliver(tx, [one], by=By.SHELL, force=True) == [one]
    with store.write() as tx:
        assert store.retiring.blank(tx, page.events, before) == []
        assert store.retiring.remove(tx, page.events, before) == []
    assert story(one).event.capture.body != b""


def test_what_was_blanked_cannot_be_put_back_in_the_queue(
    store: Store,
    settled: Callable[..., str],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    one = settled(Cause.GIVEN_UP)
    tick(days=31)
    sweep()
    with store.write() as tx:
        assert store.ledger.redeliver(tx, [one], by=By.SHELL) == []
        assert store.ledger.redeliver(tx, [one], by=By.SHELL, force=True) == []


def test_the_thread_sweeps_until_it_is_told_to_stop(
    store: Store,
    settled: Callable[..., str],
    story: Callable[[str], Story],
    tick: Callable[..., datetime],
    eventually: Callable[..., Any],
) -> None:
    one = settled()
    tick(days=31)
    stop = Event()
    thread = Retention(BOTH, store, stop).start()
    assert thread is not None
    eventually(lambda: story(one).event.blanked_at)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_reports_go_with_their_story_and_unmatched_ones_by_themselves(
    store: Store,
    settled: Callable[..., str],
    sweep: Callable[..., int],
    tick: Callable[..., datetime],
) -> None:
    one = settled()
    matched = Report(identity="a", event_name="emailSend", news=News.SENT, email="a@b")
    with store.write() as tx:
        store.reports.keep(tx, matched, one, Match.BRIDGE_ID)
        for number in range(60):
            store.reports.keep(tx, replace(matched, identity=f"{number}"), None, None)
    tick(days=31)
    sweep()
    assert [person for _, person in reports_of(store)] == [None]
    tick(days=60)
    sweep()
    assert reports_of(store) == []


def reports_of(store: Store) -> list[tuple[str, str | None]]:
    with store.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT identity, person FROM reports")
        return [(row.identity, row.person) for row in rows]
