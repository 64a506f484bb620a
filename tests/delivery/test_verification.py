"""Checks of unknown outcomes, on a real ledger whose clock is moved by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.delivery.in_doubt_resolver import InDoubtResolver
from bridge.delivery.tasks import CheckResult
from bridge.delivery.verification import Verifier
from bridge.model import (
    Attempt,
    AttemptResult,
    Claim,
    Classification,
    Trigger,
)
from bridge.store import Store, in_doubt, new_id, open_store, queue
from bridge.store.ingest import ingest
from tests.delivery.conftest import (
    Bench,
    FakeDestination,
    FakeVerification,
    make_route,
    outcome,
)
from tests.store.conftest import new_delivery, new_event

UNKNOWN, OK = Trigger.OUTCOME_UNKNOWN, Trigger.ANSWERED_OK
FOUND, NOT_FOUND = Trigger.CHECK_FOUND, Trigger.CHECK_NOT_FOUND
LEASE = timedelta(seconds=30)


def body(user: str = "user-1", campaign: int = 1, **more: Any) -> bytes:
    return json.dumps(
        {"campaignId": campaign, "recipientUserId": user, **more}
    ).encode()


class Ledger:
    """Deliveries of one person, left in the states that a test is about."""

    def __init__(self, bench: Bench) -> None:
        self.ahead = timedelta(0)
        self.store: Store = open_store(bench.database_url, self.now)
        self.config = bench.config
        self.destination: FakeDestination = bench.iterable
        self.iterable: FakeVerification = bench.iterable.shows
        self.iterable.clock_ahead = timedelta(seconds=3)
        self.verifier = Verifier(
            self.config, self.store, bench.destinations, lambda _: body()
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def send(
        self, trigger: Trigger, *, payload: bytes | None = None, **changes: Any
    ) -> str:
        """Make a delivery of which one attempt ended so; return its id."""
        made = new_delivery(f"pub:{new_id()}:v", **changes)
        with self.store.write() as tx:
            ingest(tx, [(new_event(made), None)])
        self.attempt(trigger, payload=payload)
        return made.id

    def claim(self) -> Claim:
        with self.store.write() as tx:
            for is_fresh in (True, False):
                found = queue.claim(
                    tx,
                    ["r"],
                    is_fresh=is_fresh,
                    limit=1,
                    lease=LEASE,
                    token=new_id(),
                )
                if found:
                    return found[0]
        raise AssertionError("nothing is due")

    def attempt(self, trigger: Trigger, *, payload: bytes | None = None) -> None:
        claim = self.claim()
        attempt = Attempt(
            number=claim.attempt_no,
            started_at=self.now(),
            duration=timedelta(milliseconds=80),
            outcome="unknown" if trigger is UNKNOWN else "SUCCESS",
            status=None,
            code=None,
            reason="as the test says",
            request_id=None,
            payload=payload or body(),
        )
        ended = AttemptResult(
            claim=claim,
            trigger=trigger,
            reason=None,
            delay=timedelta(0),
            attempt=attempt,
        )
        with self.store.write() as tx:
            assert queue.settle(tx, [ended])

    def check(self) -> list[CheckResult]:
        """Check every delivery in doubt, a good while after it came to be."""
        self.ahead += timedelta(seconds=3)
        with self.store.write() as tx:
            due = in_doubt.due_for_check(tx, 10)
        return [self.verifier.check(one) for one in due]

    def execute(self, statement: str) -> None:
        with self.store.write() as tx:
            tx.connection.exec_driver_sql(statement)


@pytest.fixture
def ledger(bench: Bench) -> Iterator[Ledger]:
    bench.configure(make_route(on_unknown_outcome="verify"))
    made = Ledger(bench)
    yield made
    made.store.close()


def triggers(checked: list[CheckResult]) -> set[Trigger]:
    return {one.trigger for some in checked for one in some.resolutions}


def test_a_message_that_is_shown_is_found(ledger: Ledger) -> None:
    one = ledger.send(UNKNOWN)
    ledger.iterable.shown = 1
    [checked] = ledger.check()
    [resolution] = checked.resolutions
    assert (resolution.delivery_id, resolution.trigger) == (one, FOUND)


@pytest.mark.parametrize(("shown", "trigger"), [(1, NOT_FOUND), (2, FOUND)])
def test_an_accepted_neighbour_is_taken_off_the_count(
    ledger: Ledger, shown: int, trigger: Trigger
) -> None:
    ledger.send(OK)
    ledger.send(UNKNOWN)
    ledger.iterable.shown = shown
    assert triggers(ledger.check()) == {trigger}


def test_a_scheduled_message_cannot_be_checked(ledger: Ledger) -> None:
    ledger.send(UNKNOWN, payload=body(sendAt="2099-01-01 00:00:00"))
    assert triggers(ledger.check()) == {Trigger.CHECK_UNDECIDABLE}
    assert ledger.iterable.asked == []


def test_a_question_that_fails_for_too_long_leaves_it_to_a_person(
    ledger: Ledger,
) -> None:
    ledger.send(UNKNOWN)
    ledger.iterable.shown = outcome(Classification.RETRY)
    [delivery] = due(ledger)
    old = ledger.now() - timedelta(hours=73)
    with ledger.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE deliveries SET age_started_at = age_started_at - 263000000000"
        )
    ledger.ahead += timedelta(seconds=3)
    checked = ledger.verifier.check(replace(delivery, age_started_at=old))
    assert triggers([checked]) == {Trigger.POLICY_HOLD}


def due(ledger: Ledger) -> list[Any]:
    with ledger.store.write() as tx:
        return in_doubt.due_for_check(tx, 10)


def test_a_vanished_worker_is_judged_by_what_it_would_have_sent(
    ledger: Ledger,
) -> None:
    made = new_delivery("k")
    with ledger.store.write() as tx:
        ingest(tx, [(new_event(made), None)])
    ledger.claim()
    ledger.ahead += 2 * LEASE
    with ledger.store.write() as tx:
        assert in_doubt.expire_leases(tx) == [made.id]
    ledger.iterable.shown = 1
    assert triggers(ledger.check()) == {FOUND}


def test_a_neighbour_that_is_being_sent_is_waited_for(ledger: Ledger) -> None:
    ledger.send(UNKNOWN)
    with ledger.store.write() as tx:
        ingest(tx, [(new_event(new_delivery("k")), None)])
    ledger.claim()
    [checked] = ledger.check()
    assert checked.resolutions == ()
    assert checked.delay > timedelta(0)


def test_the_fifth_unknown_outcome_is_the_last(ledger: Ledger) -> None:
    one = ledger.send(UNKNOWN)
    for _ in range(4):
        with ledger.store.write() as tx:
            in_doubt.resolve(tx, one, NOT_FOUND, delay=timedelta(0))
        ledger.attempt(UNKNOWN)
    [checked] = ledger.check()
    [resolution] = checked.resolutions
    assert resolution.trigger is Trigger.POLICY_HOLD
    assert "after 5 unknown outcomes" in resolution.reason


@pytest.mark.parametrize("hours", [1, -1])
def test_the_question_goes_by_the_destinations_clock(
    ledger: Ledger, hours: int
) -> None:
    ledger.send(UNKNOWN)
    ledger.iterable.clock_ahead = timedelta(hours=hours)
    ledger.check()
    first, second = (since for _, _, since in ledger.iterable.asked)
    assert abs(second - first - timedelta(hours=hours)) < timedelta(seconds=10)


def test_a_write_does_not_hold_up_the_reading_of_recipients_in_doubt(
    ledger: Ledger,
) -> None:
    ledger.send(UNKNOWN)
    resolver = InDoubtResolver(
        ledger.config,
        ledger.store,
        {"iterable": ledger.destination},
        can_verify=lambda *_: True,
        concurrency=4,
    )
    with ledger.store.write():
        resolver.refresh()
    assert resolver.targets == {("iterable", "user-1"): frozenset({1})}
