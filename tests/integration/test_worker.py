"""The coordinator and its threads on a real store; only the attempts are made up."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from bridge.config import Config, load
from bridge.dispatch import Result, unusable
from bridge.errors import StoreUnavailable
from bridge.model import (
    Attempt,
    Cause,
    Claim,
    Classification,
    Outcome,
    Settlement,
)
from bridge.rendering import Payload
from bridge.senders import Senders
from bridge.store import DeliveryFilter, Store, open_store
from bridge.worker import coordinator

pytestmark = pytest.mark.integration

PAYLOAD = Payload(body=b"{}", names_campaign=False, dropped=0)
FILE = """
iterable: {data_center: us, rate_per_second: 5000, timeout_seconds: 5}
routes: [{name: r, when: {}, campaign_id: 1, template: t.j2, in_doubt: hold}]
"""


class Attempts:
    """Makes every attempt succeed, unless told otherwise."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.before_prepare: Callable[[Claim], object] = lambda _: None
        self.before_send: Callable[[Claim], object] = lambda _: None

    def prepare(self, claim: Claim) -> Payload | Result:
        self.before_prepare(claim)
        return PAYLOAD

    def begin(self, claim: Claim, payload: Payload) -> None:
        """Leave every send to those that may wait."""

    def send(self, claim: Claim, payload: Payload) -> Result:
        self.before_send(claim)
        self.sent.append(claim.delivery_id)
        return Result(claim=claim, settlement=accepted(claim, payload))

    def probe(self, campaign_id: int | None) -> Outcome:
        reason = f"campaign {campaign_id} is fine"
        return Outcome(classification=Classification.SUCCESS, reason=reason)


def accepted(claim: Claim, payload: Payload) -> Settlement:
    return Settlement(
        delivery_id=claim.delivery_id,
        token=claim.token,
        cause=Cause.ANSWERED_OK,
        reason="accepted",
        attempt=Attempt(
            number=claim.number,
            started_at=datetime.now(UTC),
            duration=timedelta(milliseconds=1),
            outcome="SUCCESS",
            status=200,
            code="Success",
            reason="accepted",
            request_id=None,
            payload=payload.body,
        ),
    )


@pytest.fixture
def real(tmp_path: Path, empty_ledger: Path) -> Iterator[Store]:
    """A store that goes by the real clock, as the worker does."""
    shutil.copy(empty_ledger, tmp_path / "bridge.db")
    store = open_store(f"sqlite:///{tmp_path / 'bridge.db'}")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    (tmp_path / "config.yaml").write_text(FILE)
    return load(tmp_path / "config.yaml", {})


@pytest.fixture
def attempts() -> Attempts:
    return Attempts()


Start = Callable[..., Event]


@pytest.fixture
def start(config: Config, real: Store, attempts: Attempts) -> Iterator[Start]:
    """Start a worker in a thread; it ends with the test."""
    running: list[tuple[Event, Thread]] = []

    def started(threads: int = 2) -> Event:
        stop = Event()
        senders = Senders(attempts, threads, stop, attempts)  # type: ignore[arg-type]
        worker = coordinator.Coordinator(
            config, real, senders=senders, threads=threads, stop=stop
        )
        thread = Thread(target=worker.run)
        thread.start()
        running.append((stop, thread))
        return stop

    yield started
    for stop, thread in running:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def put(
    real: Store, new_arrival: Callable[..., Any], new_delivery: Callable[..., Any]
) -> Callable[..., str]:
    """Store a delivery and return its id."""

    def stored(key: str = "k", **changes: Any) -> str:
        delivery = new_delivery(key, **changes)
        real.commits.add(new_arrival(delivery))
        return str(delivery.id)

    return stored


def status(store: Store, delivery_id: str) -> str:
    story = store.ledger.story(delivery_id)
    assert story is not None
    return story.delivery.status


def reason(store: Store, delivery_id: str) -> str:
    story = store.ledger.story(delivery_id)
    assert story is not None
    return story.delivery.reason or ""


def test_what_waits_is_delivered(
    start: Start, put: Callable[..., str], real: Store, eventually: Callable[..., None]
) -> None:
    ids = [put(f"k{number}") for number in range(50)]
    start()
    eventually(lambda: all(status(real, one) == "accepted" for one in ids))


def test_what_comes_later_is_noticed(
    start: Start, put: Callable[..., str], real: Store, eventually: Callable[..., None]
) -> None:
    start()
    one = put()
    eventually(lambda: status(real, one) == "accepted")


def test_a_bug_before_the_send_costs_one_delivery_a_minute(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
) -> None:
    def stumble(claim: Claim) -> None:
        if claim.key == "bad":
            raise KeyError("the bug")

    attempts.before_prepare = stumble
    bad, good = put("bad"), put("good")
    start(threads=1)
    eventually(lambda: status(real, good) == "accepted")
    eventually(lambda: status(real, bad) == "pending")
    story = real.ledger.story(bad)
    assert story is not None
    assert story.delivery.reason == "the bridge failed on it: KeyError"
    assert story.delivery.due_at is not None
    wait = story.delivery.due_at - story.delivery.updated_at
    assert wait == timedelta(minutes=1)


def test_a_bug_while_sending_leaves_the_delivery_in_doubt(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
) -> None:
    def stumble(_: Claim) -> None:
        raise KeyError("the bug")

    attempts.before_send = stumble
    one = put()
    start()
    eventually(lambda: status(real, one) == "held")
    story = real.ledger.story(one)
    assert story is not None
    assert [attempt.outcome for attempt in story.attempts] == ["unknown"]


def test_a_held_delivery_never_reaches_the_send(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "prepare", lambda claim: unusable(claim, "no code"))
    one = put()
    start()
    eventually(lambda: status(real, one) == "held")
    assert (reason(real, one), attempts.sent) == ("no code", [])


def test_a_delivery_of_a_route_that_is_gone_is_held_at_the_start(
    start: Start, put: Callable[..., str], real: Store, eventually: Callable[..., None]
) -> None:
    one = put(route="gone")
    start()
    eventually(lambda: status(real, one) == "held")
    assert "no longer configured" in reason(real, one)


def test_what_has_not_begun_at_the_stop_goes_back_untouched(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
) -> None:
    begun, go = Event(), Event()

    def wait(_: Claim) -> None:
        begun.set()
        go.wait(60)

    attempts.before_send = wait
    ids = [put(f"k{number}") for number in range(5)]
    stop = start(threads=1)
    assert begun.wait(60)
    stop.set()
    go.set()
    eventually(lambda: [status(real, one) for one in ids].count("accepted") == 1)
    eventually(lambda: [status(real, one) for one in ids].count("pending") == 4)
    rows = real.ledger.deliveries(DeliveryFilter())
    assert sorted(row.number for row in rows) == [0, 0, 0, 0, 1]


def test_a_call_open_at_the_end_of_the_drain_is_left_in_doubt(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "DRAIN", 0.2)
    begun, go = Event(), Event()

    def wait(_: Claim) -> None:
        begun.set()
        go.wait(60)

    attempts.before_send = wait
    one = put()
    stop = start(threads=1)
    assert begun.wait(60)
    stop.set()
    eventually(lambda: status(real, one) == "in_doubt")
    go.set()
    assert "stopped while the call was open" in reason(real, one)


def test_an_answer_that_comes_at_the_last_moment_counts(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "DRAIN", 0.0)
    write, begun, held, answered = real.write, Event(), Event(), Event()
    prepared: list[str] = []

    def hold(*arguments: Any) -> Any:
        """Keep the coordinator until the first is answered, and it has to stop."""
        if begun.is_set() and not held.is_set():
            stops[0].set()
            held.set()
            assert answered.wait(60)
            raise StoreUnavailable("somebody wrote all the time")
        return write(*arguments)

    def prepare(claim: Claim) -> None:
        # The second is looked at when the first is handed in.
        prepared.append(claim.delivery_id)
        if len(prepared) == len(ids):
            answered.set()

    def wait(_: Claim) -> None:
        begun.set()
        assert held.wait(60)

    attempts.before_prepare, attempts.before_send = prepare, wait
    ids = [put(f"k{number}") for number in range(2)]
    monkeypatch.setattr(real, "write", hold)
    stops = [start(threads=1)]
    eventually(lambda: status(real, ids[0]) == "accepted")
    assert (attempts.sent, status(real, ids[1])) == (ids[:1], "pending")


def test_a_store_that_is_away_for_a_while_loses_no_result(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, away = real.write, Event()

    def refuse(*arguments: Any) -> Any:
        if away.is_set():
            raise StoreUnavailable("the disk is full")
        return write(*arguments)

    monkeypatch.setattr(real, "write", refuse)
    attempts.before_send = lambda _: away.set()
    one = put()
    start()
    eventually(lambda: attempts.sent == [one])
    away.clear()
    eventually(lambda: status(real, one) == "accepted")
    assert attempts.sent == [one]


def test_the_last_words_of_a_worker_are_said_again(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "DRAIN", 0.0)
    write, begun, go, refused = real.write, Event(), Event(), Event()

    def refuse(*arguments: Any) -> Any:
        if begun.is_set() and not refused.is_set():
            refused.set()
            raise StoreUnavailable("the disk is full")
        return write(*arguments)

    def wait(_: Claim) -> None:
        stops[0].set()
        begun.set()
        go.wait(60)

    monkeypatch.setattr(real, "write", refuse)
    attempts.before_send = wait
    stops = [start(threads=1)]
    one = put()
    eventually(lambda: status(real, one) == "in_doubt")
    go.set()
    assert refused.is_set()


def test_retries_and_fresh_ones_share_the_slots(
    start: Start,
    put: Callable[..., str],
    real: Store,
    attempts: Attempts,
    eventually: Callable[..., None],
) -> None:
    retries = [put(f"old{number}") for number in range(40)]
    with real.write() as tx:
        tx.connection.exec_driver_sql("UPDATE deliveries SET lane = 'retry'")
    fresh = [put(f"new{number}") for number in range(40)]
    start(threads=2)
    eventually(lambda: len(attempts.sent) == 80)
    first_half = attempts.sent[:40]
    assert len(set(first_half) & set(retries)) >= 5
    assert len(set(first_half) & set(fresh)) >= 5
