"""What operators do to one delivery, and to many by a bulk job."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.model import (
    Action,
    Delivery,
    DeliveryFilter,
    DeliveryStatus,
    Trigger,
    sources,
)
from bridge.store import Store, actions, deliveries, in_doubt, jobs, queue
from tests.store.conftest import INTO

pytestmark = pytest.mark.integration

Status = DeliveryStatus
Bring = Callable[..., str]
Tick = Callable[..., datetime]


def read(store: Store, delivery_id: str) -> Delivery:
    with store.read() as tx:
        detail = deliveries.detail(tx, delivery_id)
    assert detail is not None
    return detail.delivery


def redeliver(store: Store, *ids: str, force: bool = False) -> list[str]:
    with store.write() as tx:
        return actions.redeliver(tx, ids, actor="cli", force=force)


@pytest.mark.parametrize("is_forced", [False, True], ids=["plain", "forced"])
@pytest.mark.parametrize("status", [*INTO, Status.SENDING])
def test_redelivering_follows_the_state_table(
    store: Store, bring: Bring, status: DeliveryStatus, is_forced: bool
) -> None:
    delivery_id = bring(status)
    trigger = Trigger.REDELIVER_FORCED if is_forced else Trigger.REDELIVER
    expected = [delivery_id] if status in sources(trigger) else []
    assert redeliver(store, delivery_id, force=is_forced) == expected
    after = Status.PENDING if expected else status
    assert read(store, delivery_id).status is after


def test_a_forced_redelivery_survives_a_late_answer(
    store: Store, claim: Any, result_of: Any, fill: Any, tick: Tick
) -> None:
    fill(1)
    [one] = claim()
    tick(hours=1)
    with store.write() as tx:
        in_doubt.expire_leases(tx)
    redeliver(store, one.delivery_id, force=True)
    with store.write() as tx:
        assert queue.settle(tx, [result_of(one, Trigger.ANSWERED_OK)]) == []
    assert read(store, one.delivery_id).status is Status.PENDING


@pytest.mark.parametrize(
    ("trigger", "status"),
    [
        (Trigger.RESOLVED_SENT, Status.ACCEPTED),
        (Trigger.RESOLVED_DROPPED, Status.DROPPED),
    ],
)
@pytest.mark.parametrize("before", [Status.HELD, Status.DEAD])
def test_a_held_or_dead_delivery_is_closed_with_its_reason_and_audited(
    store: Store,
    bring: Bring,
    before: DeliveryStatus,
    trigger: Trigger,
    status: DeliveryStatus,
) -> None:
    delivery_id = bring(before)
    with store.write() as tx:
        actions.resolve(tx, delivery_id, trigger, "called the customer", actor="Ann")
    after = read(store, delivery_id)
    assert (after.status, after.reason) == (status, "called the customer")
    with store.read() as tx:
        [entry] = actions.of_target(tx, delivery_id)
    assert (entry.actor, entry.status, entry.reason) == ("Ann", before, after.reason)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    """Do two deliveries in a batch, at a time that ids agree with."""
    monkeypatch.setattr(jobs, "BATCH", 2)
    clock.now = datetime.now(UTC)


def start(store: Store, action: Action, **wanted: Any) -> str:
    with store.write() as tx:
        return jobs.create(
            tx,
            action,
            DeliveryFilter(**wanted),
            actor="Ann",
            planned=3,
            reason="not wanted",
        )


def finish(store: Store, job_id: str) -> jobs.Job:
    while True:
        with store.write() as tx:
            job = jobs.run_batch(tx, job_id)
        assert job is not None
        if job.ended_at is not None:
            return job


@pytest.mark.usefixtures("small_batches")
def test_a_job_does_all_that_fits_its_filter_and_nothing_that_came_later(
    store: Store, bring: Bring, tick: Tick
) -> None:
    dead = [bring(Status.DEAD) for _ in range(3)]
    accepted = bring(Status.ACCEPTED)
    tick(seconds=1)
    job_id = start(store, Action.REDELIVER, status=Status.DEAD, route="r")
    tick(seconds=1)
    later = bring(Status.DEAD)
    job = finish(store, job_id)
    assert (job.done, job.skipped, job.planned) == (3, 0, 3)
    assert {read(store, one).status for one in dead} == {Status.PENDING}
    assert read(store, accepted).status is Status.ACCEPTED
    assert read(store, later).status is Status.DEAD
    with store.read() as tx:
        assert actions.of_target(tx, dead[0])[0].actor == "Ann"
        assert jobs.running(tx) == []


def test_a_job_that_searches_for_an_erased_person_ends_and_forgets_the_name(
    store: Store, tick: Tick
) -> None:
    job_id = start(store, Action.DROP, search="ana@shop.example", route="r")
    other = start(store, Action.DROP, search="leo")
    with store.write() as tx:
        jobs.erase_searches(tx, {"ana@shop.example"})
        assert jobs.running(tx) == [other]
        [_, job] = jobs.newest(tx)
    assert (job.id, job.filter, job.reason) == (job_id, DeliveryFilter(route="r"), None)
    after = tick(hours=1)
    with store.write() as tx:
        assert jobs.delete_ended(tx, after - timedelta(minutes=1)) == 1
