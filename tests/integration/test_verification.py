"""Doubts looked into: a real ledger, a real call, a sandbox that tells the truth."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import delete, update

from bridge.config import Config, load
from bridge.http import Http
from bridge.iterable import Client
from bridge.model import Cause, Claim, Lane
from bridge.sandbox import Sandbox
from bridge.store import Doubt, Store, new_id, open_store
from bridge.store.schema import attempts, deliveries
from bridge.verification import Checked, Verifier
from bridge.worker.doubting import Doubting
from tests.postgres import Postgres

pytestmark = pytest.mark.integration

FILE = """
iterable: {data_center: us, timeout_seconds: 1, verify: {after: 1s}}
routes: [{name: r, when: {}, campaign_id: 1, template: t.j2}]
"""
LEASE = timedelta(seconds=30)
#: Marks what asks the ledger in a way of its own.
on_both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
TARGET = "/api/email/target"


class Clock:
    """The real time, and as much of the future as was asked for."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an unused database: SQLite, but for tests that ask for both kinds."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.clean_database()


@pytest.fixture
def store(database_url: str, time: Clock, empty_ledger: Path) -> Iterator[Store]:
    if database_url.startswith("sqlite:"):
        shutil.copy(empty_ledger, database_url.removeprefix("sqlite:///"))
    store = open_store(database_url, time)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def iterable() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    (tmp_path / "config.yaml").write_text(FILE)
    return load(tmp_path / "config.yaml", {})


def body(user: str = "user-1", campaign: int = 1, **more: Any) -> bytes:
    return json.dumps(
        {"campaignId": campaign, "recipientUserId": user, **more}
    ).encode()


class Bench:
    """Deliveries for one person, left in the states that a test is about."""

    def __init__(
        self, store: Store, sandbox: Sandbox, settlement: Any, add: Any
    ) -> None:
        self.store = store
        self.sandbox = sandbox
        self._settlement = settlement
        self._add = add

    def send(
        self, cause: Cause, *, taken: bool, payload: bytes | None = None, **changes: Any
    ) -> str:
        """Make a delivery of which one attempt ended so; return its id."""
        delivery_id = self._add(**changes)
        self.attempt(cause, taken=taken, payload=payload)
        return str(delivery_id)

    def claim(self, lane: Lane = Lane.FRESH) -> Claim:
        with self.store.write() as tx:
            [one] = self.store.queue.claim(tx, ["r"], lane, 1, LEASE, new_id())
        return one

    def attempt(
        self,
        cause: Cause,
        *,
        taken: bool,
        payload: bytes | None = None,
        lane: Lane = Lane.FRESH,
    ) -> None:
        claim = self.claim(lane)
        sent = payload or body()
        if taken:
            requests.post(
                f"{self.sandbox.url}{TARGET}",
                data=sent,
                headers={"Api-Key": "k"},
                timeout=5,
            )
        settled = self._settlement(claim, cause, sent)
        with self.store.write() as tx:
            self.store.queue.settle(tx, [settled])

    def doubts(self) -> list[Doubt]:
        with self.store.write() as tx:
            return self.store.queue.doubtful(tx, 10)


@pytest.fixture
def bench(
    store: Store,
    iterable: Sandbox,
    time: Clock,
    settlement: Callable[..., Any],
    new_delivery: Callable[..., Any],
    new_arrival: Callable[..., Any],
) -> Bench:
    def add(**changes: Any) -> str:
        delivery = new_delivery(f"pub:{new_id()}:v", **changes)
        store.commits.add(new_arrival(delivery))
        return str(delivery.id)

    def settled(claim: Claim, cause: Cause, sent: bytes) -> Any:
        made = settlement(claim, cause, delay=timedelta(0))
        is_open = cause is Cause.OUTCOME_UNKNOWN
        changes = {
            "started_at": time(),
            "payload": sent,
            "outcome": "unknown" if is_open else made.attempt.outcome,
        }
        return _with(made, attempt=_with(made.attempt, **changes))

    return Bench(store, iterable, settled, add)


def _with(value: Any, **changes: Any) -> Any:
    return replace(value, **changes)


Check = Callable[[], list[Checked]]


@pytest.fixture
def check(
    bench: Bench, config: Config, iterable: Sandbox, store: Store, time: Clock
) -> Iterator[Check]:
    """Look into every doubt, a good while after it began."""
    http = Http(timedelta(seconds=1))
    client = Client(http, iterable.url, "k")
    verifier = Verifier(config, store, client, lambda _: body())

    def checked() -> list[Checked]:
        time.ahead += timedelta(seconds=3)
        return [verifier.check(doubt) for doubt in bench.doubts()]

    yield checked
    http.close()


def causes(checked: list[Checked]) -> set[Cause]:
    return {one.cause for some in checked for one in some.conclusions}


UNKNOWN, OK = Cause.OUTCOME_UNKNOWN, Cause.ANSWERED_OK


@on_both
def test_what_was_taken_is_found(bench: Bench, check: Check) -> None:
    one = bench.send(UNKNOWN, taken=True)
    [checked] = check()
    [conclusion] = checked.conclusions
    assert (conclusion.delivery_id, conclusion.cause) == (one, Cause.CHECK_FOUND)


@on_both
def test_what_was_not_taken_is_sent_again(bench: Bench, check: Check) -> None:
    bench.send(UNKNOWN, taken=False)
    assert causes(check()) == {Cause.CHECK_NOT_FOUND}


def test_it_is_asked_by_the_name_and_campaign_that_were_sent(
    bench: Bench, check: Check
) -> None:
    mail = {"recipientEmail": "Ana@Shop.example", "campaignId": 7}
    bench.send(UNKNOWN, taken=True, payload=json.dumps(mail).encode())
    bench.send(OK, taken=True)
    assert causes(check()) == {Cause.CHECK_FOUND}


def test_a_neighbour_that_went_well_is_taken_off(bench: Bench, check: Check) -> None:
    bench.send(OK, taken=True)
    bench.send(UNKNOWN, taken=False)
    assert causes(check()) == {Cause.CHECK_NOT_FOUND}


@on_both
def test_a_neighbour_that_went_well_hides_nothing(bench: Bench, check: Check) -> None:
    bench.send(OK, taken=True)
    bench.send(UNKNOWN, taken=True)
    assert causes(check()) == {Cause.CHECK_FOUND}


def test_another_campaign_is_another_matter(bench: Bench, check: Check) -> None:
    bench.send(OK, taken=True, payload=body(campaign=2))
    bench.send(UNKNOWN, taken=True)
    assert causes(check()) == {Cause.CHECK_FOUND}


@on_both
def test_one_shown_of_two_is_not_decidable(bench: Bench, check: Check) -> None:
    ids = {bench.send(UNKNOWN, taken=taken) for taken in (True, False)}
    first, second = check()
    assert causes([first, second]) == {Cause.CHECK_UNDECIDABLE}
    assert {one.delivery_id for one in first.conclusions} == ids


def test_both_shown_of_two_are_found(bench: Bench, check: Check) -> None:
    for _ in range(2):
        bench.send(UNKNOWN, taken=True)
    assert causes(check()) == {Cause.CHECK_FOUND}


@on_both
def test_one_held_in_doubt_leaves_its_neighbour_undecided(
    bench: Bench, check: Check, store: Store
) -> None:
    held = bench.send(UNKNOWN, taken=True)
    with store.write() as tx:
        store.queue.decide_doubt(tx, held, Cause.POLICY_HOLD, None, "held")
    bench.send(UNKNOWN, taken=False)
    assert causes(check()) == {Cause.CHECK_UNDECIDABLE}


def test_a_scheduled_message_cannot_be_checked(
    bench: Bench, check: Check, iterable: Sandbox
) -> None:
    later = body(sendAt="2099-01-01 00:00:00")
    bench.send(UNKNOWN, taken=False, payload=later)
    assert causes(check()) == {Cause.CHECK_UNDECIDABLE}
    assert iterable.calls == []


@pytest.mark.parametrize("endpoint", ["webPush/target", "whatsApp/target"])
def test_media_that_iterable_does_not_list_cannot_be_checked(
    bench: Bench, check: Check, endpoint: str
) -> None:
    bench.send(UNKNOWN, taken=False, endpoint=endpoint)
    assert causes(check()) == {Cause.CHECK_UNDECIDABLE}


def test_a_question_without_an_answer_is_asked_again_later(
    bench: Bench, check: Check, iterable: Sandbox
) -> None:
    bench.send(UNKNOWN, taken=True)
    iterable.tell(status=502, body_text="<html>", times=None)
    [checked] = check()
    [conclusion] = checked.conclusions
    assert conclusion.cause is Cause.CHECK_FAILED
    assert conclusion.delay is not None
    assert "502" in conclusion.reason


@on_both
def test_a_question_that_fails_for_too_long_leaves_it_to_a_person(
    bench: Bench, check: Check, iterable: Sandbox, store: Store, time: Clock
) -> None:
    bench.send(UNKNOWN, taken=True)
    iterable.tell(status=502, times=None)
    with store.write() as tx:
        tx.connection.execute(
            update(deliveries).values(aging_since=time() - timedelta(hours=72))
        )
    assert causes(check()) == {Cause.POLICY_HOLD}


def test_too_many_questions_make_all_of_them_wait(
    bench: Bench, check: Check, iterable: Sandbox
) -> None:
    bench.send(UNKNOWN, taken=True)
    iterable.tell(status=429, headers={"Retry-After": "7"})
    [checked] = check()
    assert checked.pause == timedelta(seconds=7)


@pytest.mark.parametrize("nonsense", ["[]", "{}", '{"messages": 1}', "<html>", ""])
def test_an_answer_that_is_none_decides_nothing(
    bench: Bench, check: Check, iterable: Sandbox, nonsense: str
) -> None:
    bench.send(UNKNOWN, taken=True)
    iterable.tell(body_text=nonsense, times=None)
    assert causes(check()) == {Cause.CHECK_FAILED}


@on_both
def test_what_a_vanished_worker_sent_is_told_by_what_it_would_have_sent(
    bench: Bench, check: Check, store: Store
) -> None:
    one = bench.send(OK, taken=True)
    with store.write() as tx:
        tx.connection.execute(
            update(deliveries).values(status="sending", due_at=tx.now, number=0)
        )
        tx.connection.execute(delete(attempts))
        assert store.queue.expire_leases(tx) == [one]
    assert causes(check()) == {Cause.CHECK_FOUND}


def test_a_neighbour_that_is_being_sent_is_waited_for(
    bench: Bench, check: Check, time: Clock
) -> None:
    bench.send(UNKNOWN, taken=True)
    bench.send(OK, taken=False)
    with bench.store.write() as tx:
        tx.connection.execute(
            update(deliveries)
            .where(deliveries.c.status == "accepted")
            .values(status="sending", due_at=time() + LEASE)
        )
    [checked] = check()
    assert checked.conclusions == ()
    assert checked.delay > timedelta(0)


def test_the_fifth_unknown_outcome_is_the_last(bench: Bench, check: Check) -> None:
    one = bench.send(UNKNOWN, taken=False)
    for _ in range(4):
        with bench.store.write() as tx:
            bench.store.queue.decide_doubt(
                tx, one, Cause.CHECK_NOT_FOUND, timedelta(0), None
            )
        bench.attempt(UNKNOWN, taken=False, lane=Lane.RETRY)
    [checked] = check()
    [conclusion] = checked.conclusions
    assert conclusion.cause is Cause.POLICY_HOLD
    assert "5 attempts" in conclusion.reason


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_not_iterables_finds_it_all_the_same(
    bench: Bench, check: Check, time: Clock, hours: int
) -> None:
    time.ahead = timedelta(hours=hours)
    bench.send(UNKNOWN, taken=True)
    assert causes(check()) == {Cause.CHECK_FOUND}


def test_nobody_who_writes_waits_while_it_is_read_whom_doubts_are_about(
    bench: Bench, config: Config
) -> None:
    bench.send(UNKNOWN, taken=False)
    doubting = Doubting(config, bench.store, threads=4)
    with bench.store.write():
        doubting.refresh()
    assert doubting.doubted == {"user-1": frozenset({1})}
