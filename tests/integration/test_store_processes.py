"""Several processes on one database: who writes when, and what survives."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from bridge.model import EventStatus
from bridge.store import DeliveryFilter, EventFilter, Store

pytestmark = [
    pytest.mark.integration,
    # Threads that earlier tests left behind do not matter to what a child does here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

Made = Callable[..., Any]
PROCESS = Path(__file__).with_name("store_process.py")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROCESS), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def words(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    outputs = [one.communicate(timeout=60)[0].split() for one in processes]
    assert [one.returncode for one in processes] == [0] * len(processes)
    return outputs


def test_one_webhook_a_thousand_times_makes_one_delivery(
    store: Store, database_url: str
) -> None:
    counts = Counter[str]()
    for output in words([start("add", database_url, "334") for _ in range(3)]):
        counts.update(output)
    assert counts == {EventStatus.STORED: 1, EventStatus.DUPLICATE: 1001}
    assert len(store.ledger.deliveries(DeliveryFilter())) == 1
    [event] = store.ledger.events(EventFilter())
    assert event.repeats == 1001


def test_each_delivery_is_claimed_by_one_process(
    database_url: str, fill: Callable[..., list[str]]
) -> None:
    wanted = fill(120)
    claimed = words([start("claim", database_url) for _ in range(3)])
    assert sorted(chain(*claimed)) == sorted(wanted)


def test_another_process_s_commit_is_noticed_and_ones_own_is_not(
    store: Store,
    database_url: str,
    new_arrival: Made,
    new_delivery: Made,
    eventually: Callable[..., None],
) -> None:
    store.has_changed()
    store.commits.add(new_arrival(new_delivery("own")))
    assert not store.has_changed()
    words([start("add", database_url, "1")])
    eventually(store.has_changed)
    assert not store.has_changed()


def test_store_opened_and_used_before_a_fork_is_usable_after_it(
    store: Store, new_arrival: Made
) -> None:
    store.commits.add(new_arrival())
    child = os.fork()
    if child == 0:
        # Nothing of the test run may happen here, whatever goes wrong.
        try:
            for _ in range(3):
                store.commits.add(new_arrival())
            store.close()
        finally:
            os._exit(0)
    for _ in range(3):
        store.commits.add(new_arrival())
    assert wait_for_end(child) == 0
    assert len(store.ledger.events(EventFilter())) == 7


def wait_for_end(child: int) -> int:
    until = time.monotonic() + 60
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        assert time.monotonic() < until, "the child did not end"
        time.sleep(0.01)
