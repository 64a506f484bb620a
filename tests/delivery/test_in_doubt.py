"""What becomes of unknown outcomes in a running process, by policy and endpoint."""

from datetime import timedelta

import pytest

from bridge.config import Verify
from bridge.model import Classification, DeliveryStatus
from tests.delivery.conftest import (
    ACCEPTED,
    UNKNOWN,
    Bench,
    make_destination,
    make_route,
    outcome,
)

ONE_SECOND = Verify(after=timedelta(seconds=1), rate_per_second=100.0)


def test_an_endpoint_that_cannot_be_asked_about_is_held_at_once(bench: Bench) -> None:
    bench.configure(
        make_route(on_unknown_outcome="verify"),
        destinations=(make_destination(verify=ONE_SECOND),),
    )
    bench.iterable.answer = lambda _: UNKNOWN
    bench.start()
    delivery_id = bench.put(endpoint="webPush/target")
    row = bench.await_status(delivery_id, DeliveryStatus.HELD).delivery
    assert row.reason == "perhaps sent; iterable cannot be asked about it"


def test_an_idempotent_endpoint_is_simply_sent_again(bench: Bench) -> None:
    bench.iterable.idempotent = ("events/track",)
    answers = [UNKNOWN, UNKNOWN, ACCEPTED]
    bench.iterable.answer = lambda _: answers.pop(0)
    bench.start()
    delivery_id = bench.put(endpoint="events/track")
    detail = bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)
    assert [one.outcome for one in detail.attempts] == ["RETRY", "RETRY", "SUCCESS"]
    assert detail.delivery.unknown_outcomes == 0


def test_an_idempotent_endpoint_is_sent_again_after_its_worker_vanished(
    bench: Bench,
) -> None:
    bench.iterable.idempotent = ("events/track",)
    delivery_id = bench.put(endpoint="events/track")
    with bench.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE deliveries SET status = 'sending', token = 'gone', due_at = 1"
        )
    bench.configure(destinations=(make_destination(timeout=timedelta(0)),))
    bench.iterable.idempotent = ("events/track",)
    bench.start()
    bench.await_status(delivery_id, DeliveryStatus.ACCEPTED)


@pytest.mark.parametrize("status", [500, None])
def test_the_kept_attempt_says_that_its_outcome_is_unknown(
    bench: Bench, status: int | None
) -> None:
    no_answer = outcome(Classification.RETRY, status=status, is_unknown=True)
    bench.iterable.answer = lambda _: no_answer
    bench.start()
    detail = bench.await_status(bench.put(), DeliveryStatus.HELD)
    assert [(one.outcome, one.status) for one in detail.attempts] == [
        ("unknown", status)
    ]
