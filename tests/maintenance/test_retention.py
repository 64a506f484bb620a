"""What is old goes, in two steps; what waits, is held or is parked stays whole."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bridge.maintenance import retention as module
from bridge.maintenance.retention import RetentionSweeper
from bridge.model import (
    DeliveryFilter,
    DeliveryStatus,
    EventFilter,
    EventStatus,
)
from bridge.store import (
    Store,
    actions,
    alerts,
    circuits,
    deliveries,
    events,
    retention,
)
from bridge.store.deliveries import DeliveryDetail
from bridge.store.ingest import ingest
from tests.maintenance.conftest import BOTH
from tests.store.conftest import new_event

pytestmark = pytest.mark.integration

Status = DeliveryStatus
Bring = Callable[..., str]
#: Days pass, and then a sweep; such a leap of the clock is agreed to.
Days = Callable[[int], None]


@pytest.fixture
def sweeper(store: Store) -> RetentionSweeper:
    return RetentionSweeper(BOTH, store)


@pytest.fixture
def days(
    sweeper: RetentionSweeper,
    tick: Callable[..., datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> Days:
    monkeypatch.setattr(module, "LARGEST_GAP", timedelta(days=1000))

    def passed(count: int) -> None:
        tick(days=count)
        list(sweeper.sweep())

    return passed


def detail(store: Store, delivery_id: str) -> DeliveryDetail:
    with store.read() as tx:
        found = deliveries.detail(tx, delivery_id)
    assert found is not None
    return found


def is_whole(store: Store, delivery_id: str) -> bool:
    return detail(store, delivery_id).event.event.redacted_at is None


def listed(store: Store) -> list[str]:
    with store.read() as tx:
        return [one.id for one in events.list(tx, EventFilter(limit=10_000))]


def test_an_event_is_redacted_some_time_after_the_last_that_happened_to_it(
    store: Store, bring: Bring, days: Days
) -> None:
    one = bring(Status.ACCEPTED)
    days(29)
    assert is_whole(store, one)
    days(1)
    found = detail(store, one)
    assert (found.event.capture.body, found.event.capture.headers) == (b"", {})
    assert [attempt.payload for attempt in found.attempts] == [None]
    assert (found.delivery.recipient, found.delivery.code) == ("user-1", "CODE-1")


def test_an_event_is_deleted_later_and_its_neighbours_stay(
    store: Store, bring: Bring, days: Days
) -> None:
    bring(Status.ACCEPTED, codes=("ONE", "TWO"))
    days(60)
    young = bring(Status.ACCEPTED)
    days(30)
    with store.read() as tx:
        assert [one.id for one in deliveries.list(tx, DeliveryFilter())] == [young]
        codes = tx.connection.exec_driver_sql("SELECT count(*) FROM delivery_codes")
        assert codes.scalar_one() == 0
    assert len(listed(store)) == 1


@pytest.mark.parametrize("status", [Status.PENDING, Status.IN_DOUBT, Status.HELD])
def test_what_waits_is_never_touched(
    store: Store, bring: Bring, days: Days, status: DeliveryStatus
) -> None:
    one = bring(status)
    days(100)
    assert is_whole(store, one)
    assert detail(store, one).attempts[0].payload is not None


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        (EventStatus.PARKED, True),
        (EventStatus.IGNORED, False),
        (EventStatus.DUPLICATE, False),
    ],
)
def test_of_the_events_without_deliveries_the_parked_ones_stay(
    store: Store, days: Days, status: EventStatus, stays: bool
) -> None:
    with store.write() as tx:
        ingest(tx, [(new_event(status=status), None)])
    days(91)
    assert bool(listed(store)) is stays


def test_after_a_leap_of_the_clock_nothing_is_swept_until_an_operator_resumes_it(
    store: Store, sweeper: RetentionSweeper, bring: Bring, tick: Callable[..., datetime]
) -> None:
    one = bring(Status.ACCEPTED)
    list(sweeper.sweep())
    tick(days=3650, hours=1)
    for _ in range(2):
        assert list(sweeper.sweep()) == [120.0]
    assert is_whole(store, one)
    with store.read() as tx:
        alert = alerts.read_all(tx)["retention"]
        circuit = circuits.read_all(tx)["retention"]
    assert (alert.is_firing, alert.summary) == (True, circuit.reason)
    assert "3650 days after the last sweep" in alert.summary
    with store.write() as tx:
        circuits.close(tx, "retention")
    list(sweeper.sweep())
    assert listed(store) == []
    with store.read() as tx:
        assert not alerts.read_all(tx)["retention"].is_firing


def test_of_several_processes_one_sweeps_and_once_an_hour(
    store: Store,
    another_store: Callable[[], Store],
    bring: Bring,
    tick: Callable[..., datetime],
) -> None:
    first, second = (RetentionSweeper(BOTH, one) for one in (store, another_store()))
    one = bring(Status.ACCEPTED)
    tick(days=31)
    begun = first.sweep()
    next(begun)
    assert list(second.sweep()) == [120.0]
    assert list(begun)[-1] == 3600.0
    assert not is_whole(store, one)
    tick(minutes=59)
    assert list(second.sweep()) == [120.0]
    tick(minutes=2)
    assert list(second.sweep())[-1] == 3600.0


def test_an_event_that_moved_between_the_look_and_the_step_is_left_alone(
    store: Store, bring: Bring, tick: Callable[..., datetime]
) -> None:
    one = bring(Status.ACCEPTED)
    before = tick(days=31) - timedelta(days=30)
    with store.read() as tx:
        page = retention.old_events(tx, before, after=None, limit=9, is_whole=True)
    assert len(page.ids) == 1
    with store.write() as tx:
        assert actions.redeliver(tx, [one], actor="cli", force=True) == [one]
    with store.write() as tx:
        assert retention.redact(tx, page.ids, before) == 0
        assert retention.delete(tx, page.ids, before) == 0
    assert is_whole(store, one)
