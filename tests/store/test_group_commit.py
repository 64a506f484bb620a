"""Group commit: what shares a transaction, who waits, what a failure means."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from bridge.errors import StoreUnavailable
from bridge.model import Capture, IngestResult, NewEvent
from bridge.store import GroupCommit, Store
from bridge.store.ingest import ingest
from tests.store.conftest import new_event
from tests.store.ledger import event_rows

Group: TypeAlias = GroupCommit[tuple[NewEvent, str | None], IngestResult]


@pytest.fixture
def group(store: Store) -> Group:
    return store.group(ingest)


@contextmanager
def took_about(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert seconds * 0.9 <= took < seconds + 1


def wait_for_line(group: Group, length: int) -> None:
    until = time.monotonic() + 60
    while group.waiting < length:
        assert time.monotonic() < until, "they never got in line"
        time.sleep(0.002)


def ids(store: Store) -> set[str]:
    return {row.id for row in event_rows(store)}


def test_threads_that_wait_together_share_one_commit(
    store: Store, group: Group, transactions: Callable[[], int]
) -> None:
    with ThreadPoolExecutor(32) as threads:
        with store.write():
            adds = [threads.submit(group.add, (new_event(), None)) for _ in range(32)]
            wait_for_line(group, 32)
            before = transactions()
        results = {one.result().event_id for one in adds}
    assert transactions() - before == 1
    assert ids(store) == results


def test_leader_that_gets_no_turn_fails_in_time_and_is_never_written(
    store: Store, group: Group
) -> None:
    with store.write(), took_about(0.3), pytest.raises(StoreUnavailable):
        group.add((new_event(), None), timeout=0.3)
    result = group.add((new_event(), None))
    assert ids(store) == {result.event_id}


def test_follower_takes_the_lead_of_a_leader_whose_time_is_over(
    store: Store, group: Group
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with store.write():
            leading = threads.submit(group.add, (new_event(), None), timeout=0.3)
            wait_for_line(group, 1)
            following = threads.submit(group.add, (new_event(), None), timeout=20)
            with pytest.raises(StoreUnavailable):
                leading.result()
        followed = following.result().event_id
    assert ids(store) == {followed}


def test_one_item_that_cannot_be_stored_fails_alone(store: Store, group: Group) -> None:
    several = [new_event() for _ in range(5)]
    several.insert(2, new_event(capture=Capture(body=b"", endpoint="\ud800")))
    with ThreadPoolExecutor(6) as threads:
        with store.write():
            adds = [threads.submit(group.add, (one, None)) for one in several]
            wait_for_line(group, 6)
        errors = [type(one.exception()) for one in adds]
    assert errors.count(StoreUnavailable) == 1
    assert ids(store) == {one.id for one in several} - {several[2].id}
