"""Group commit: who shares one, who waits, and what a refusal means."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from bridge.errors import StoreUnavailable
from bridge.model import Arrival, Capture, EventStatus, NewDelivery
from bridge.store import DeliveryFilter, EventFilter, Store

pytestmark = pytest.mark.integration


class Gated(Mapping[str, str]):
    """Headers that are read only once they may be: they stop a commit half-way."""

    def __init__(self) -> None:
        self.is_read, self.may_go_on = Event(), Event()

    def __getitem__(self, name: str) -> str:
        raise KeyError(name)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[str]:
        self.is_read.set()
        assert self.may_go_on.wait(60)
        return iter(())


@contextmanager
def took_about(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert seconds * 0.9 <= took < seconds + 1


def wait_for_line(store: Store, length: int) -> None:
    until = time.monotonic() + 60
    while store.commits.waiting < length:
        assert time.monotonic() < until, "they never got in line"
        time.sleep(0.002)


def ids(store: Store) -> set[str]:
    return {event.id for event in store.ledger.events(EventFilter(limit=1000))}


def test_what_add_returns_is_what_is_stored(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
) -> None:
    arrival = new_arrival(new_delivery())
    stored = store.commits.add(arrival)
    assert (stored.status, stored.event_id) == (EventStatus.STORED, arrival.id)
    event = store.ledger.event(arrival.id)
    assert event is not None
    assert event.capture == arrival.capture
    listed = store.ledger.deliveries(DeliveryFilter())
    assert [one.id for one in listed] == list(stored.deliveries)


def test_threads_that_wait_together_share_one_commit(
    store: Store,
    transactions: Callable[[], int],
    new_arrival: Callable[..., Arrival],
) -> None:
    with ThreadPoolExecutor(32) as threads:
        with store.write():
            adds = [threads.submit(store.commits.add, new_arrival()) for _ in range(32)]
            wait_for_line(store, 32)
            before = transactions()
        results = {one.result().event_id for one in adds}
    assert transactions() - before == 1
    assert ids(store) == results


def test_one_thread_has_several_arrivals_share_a_commit(
    store: Store,
    transactions: Callable[[], int],
    new_arrival: Callable[..., Arrival],
) -> None:
    before = transactions()
    tickets = [store.commits.enlist(new_arrival()) for _ in range(8)]
    assert transactions() == before
    stored = {ticket.wait().event_id for ticket in tickets}
    assert transactions() - before == 1
    assert ids(store) == stored


def test_whoever_waits_first_writes_what_nobody_waits_for_yet(
    store: Store, new_arrival: Callable[..., Arrival]
) -> None:
    early, late = store.commits.enlist(new_arrival()), new_arrival()
    assert store.commits.add(late).event_id == late.id
    assert ids(store) == {early.item[0].id, late.id}
    assert early.wait().event_id == early.item[0].id


def test_leader_that_gets_no_turn_is_refused_in_time_and_never_written(
    store: Store,
    new_arrival: Callable[..., Arrival],
) -> None:
    with store.write(), took_about(0.3), pytest.raises(StoreUnavailable):
        store.commits.add(new_arrival(), timeout=0.3)
    stored = store.commits.add(new_arrival())
    assert ids(store) == {stored.event_id}


def test_follower_whose_time_is_over_is_refused_and_never_written(
    store: Store,
    new_arrival: Callable[..., Arrival],
) -> None:
    with ThreadPoolExecutor(1) as threads:
        with store.write():
            leading = threads.submit(store.commits.add, new_arrival(), timeout=20)
            wait_for_line(store, 1)
            with took_about(0.3), pytest.raises(StoreUnavailable):
                store.commits.add(new_arrival(), timeout=0.3)
        assert ids(store) | {leading.result().event_id} == {leading.result().event_id}
    assert len(ids(store)) == 1


def test_follower_takes_the_lead_of_a_leader_whose_time_is_over(
    store: Store,
    new_arrival: Callable[..., Arrival],
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with store.write():
            leading = threads.submit(store.commits.add, new_arrival(), timeout=0.3)
            wait_for_line(store, 1)
            following = threads.submit(store.commits.add, new_arrival(), timeout=20)
            with pytest.raises(StoreUnavailable):
                leading.result()
        assert ids(store) <= {following.result().event_id}
    assert ids(store) == {following.result().event_id}


def test_follower_already_taken_waits_for_its_commit_a_little_longer(
    store: Store, new_arrival: Callable[..., Arrival]
) -> None:
    headers = Gated()
    slow = new_arrival(capture=Capture(body=b"", headers=headers))
    with ThreadPoolExecutor(2) as threads:
        with store.write():
            leading = threads.submit(store.commits.add, slow, timeout=20)
            wait_for_line(store, 1)
            following = threads.submit(store.commits.add, new_arrival(), timeout=0.5)
            wait_for_line(store, 2)
        assert headers.is_read.wait(60)
        error = following.exception(timeout=60)
        headers.may_go_on.set()
    assert isinstance(error, StoreUnavailable)
    assert "did not end in time" in error.reason
    assert leading.result().status is EventStatus.IGNORED


def test_one_unstorable_arrival_fails_alone(
    store: Store,
    new_arrival: Callable[..., Arrival],
) -> None:
    nonsense: Any = {"header": object()}
    arrivals = [new_arrival() for _ in range(5)]
    arrivals.insert(2, new_arrival(capture=Capture(body=b"", headers=nonsense)))
    with ThreadPoolExecutor(6) as threads:
        with store.write():
            adds = [threads.submit(store.commits.add, one) for one in arrivals]
        errors = [type(one.exception()) for one in adds]
    assert errors.count(StoreUnavailable) == 1
    assert ids(store) == {one.id for one in arrivals} - {arrivals[2].id}


def test_a_commit_that_breaks_off_leaves_nobody_waiting(
    store: Store, new_arrival: Callable[..., Arrival]
) -> None:
    headers = Gated()
    headers.may_go_on.set()
    broken: Any = new_arrival(capture=Capture(body=b"", headers=headers))
    object.__setattr__(broken, "deliveries", None)
    with pytest.raises(TypeError):
        store.commits.add(broken)
    assert store.commits.add(new_arrival()).status is EventStatus.IGNORED


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b", "ü\0\udfff"])
def test_text_no_database_can_hold_is_stored_readable(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
    text: str,
) -> None:
    delivery = new_delivery(recipient=text, campaign=text, codes=(text,))
    store.commits.add(new_arrival(delivery, reason=text))
    story = store.ledger.story(delivery.id)
    assert story is not None
    assert "\ufffd" in story.delivery.recipient
    assert "\ufffd" in (story.event.reason or "")
