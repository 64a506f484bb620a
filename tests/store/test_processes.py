"""Several processes on one database: who writes when, and what survives."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import chain

from bridge.model import EventStatus
from bridge.store import Store
from tests.store.conftest import new_delivery, new_event
from tests.store.ledger import add, delivery_ids, event_rows


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.process", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def words(*processes: subprocess.Popen[str]) -> list[list[str]]:
    outputs = [one.communicate(timeout=60)[0].split() for one in processes]
    assert [one.returncode for one in processes] == [0] * len(processes)
    return outputs


def test_one_webhook_a_thousand_times_makes_one_delivery(
    store: Store, database_url: str
) -> None:
    counts = Counter[str]()
    for output in words(*[start("add", database_url, "334") for _ in range(3)]):
        counts.update(output)
    assert counts == {EventStatus.STORED: 1, EventStatus.DUPLICATE: 1001}
    assert len(delivery_ids(store)) == 1
    [event] = event_rows(store)
    assert event.repeats == 1001


def test_each_delivery_is_claimed_by_one_process(
    database_url: str, fill: Callable[..., list[str]]
) -> None:
    wanted = fill(120)
    claimed = words(*[start("claim", database_url) for _ in range(3)])
    assert sorted(chain(*claimed)) == sorted(wanted)


def test_another_process_s_commit_is_noticed_and_its_own_is_not(
    store: Store, database_url: str
) -> None:
    store.has_changed()
    add(store, new_event(new_delivery("own")))
    assert not store.has_changed()
    words(start("add", database_url, "1"))
    until = time.monotonic() + 60
    while not store.has_changed():
        assert time.monotonic() < until
    assert not store.has_changed()
