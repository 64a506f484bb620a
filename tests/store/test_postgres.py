"""What holds on PostgreSQL only: connections, outages, transactions side by side."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from time import monotonic

import pytest

from bridge.store import Store, Transaction, circuits, new_id, open_store, queue
from tests.store.postgres import Ledgers

LEASE = timedelta(seconds=30)


@pytest.fixture
def database_url(postgres: Ledgers) -> str:
    return postgres.clean_database()


@pytest.fixture
def stores(database_url: str) -> Iterator[list[Store]]:
    """Four stores by the database's own clock, as on four machines."""
    with ExitStack() as stack:
        opened = [open_store(database_url) for _ in range(4)]
        for one in opened:
            stack.callback(one.close)
        yield opened


def test_slots_of_several_processes_never_come_closer_than_the_rate(
    stores: list[Store],
) -> None:
    def reserve(one: Store) -> list[float]:
        taken = []
        for _ in range(20):
            with one.write() as tx:
                delays = circuits.reserve_slots(tx, "destination:iterable", 3, 200.0)
                taken += [monotonic() + delay.total_seconds() for delay in delays]
        return taken

    with ThreadPoolExecutor(4) as threads:
        times = sorted(t for found in threads.map(reserve, stores) for t in found)
    assert len(times) == 240
    assert times[-1] - times[0] >= 239 / 200 - 0.1
    for first, second in pairwise(times[::20]):
        assert second - first >= 20 / 200 - 0.1


def test_circuit_breakers_locked_together_never_deadlock(stores: list[Store]) -> None:
    names = ["route:r", "destination:iterable", "route:a"]

    def lock(number: int) -> int:
        for _ in range(25):
            with stores[number].write() as tx:
                found = circuits.lock(tx, names[number % 3 :] + names[: number % 3])
                assert list(found) == sorted(names)
                circuits.set_trial_level(tx, "route:r", number)
        return number

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lock, range(4))) == [0, 1, 2, 3]


def test_a_claim_goes_past_what_another_is_claiming(
    stores: list[Store], fill: Callable[..., list[str]]
) -> None:
    fill(4)
    first, second = stores[:2]

    def claim(tx: Transaction) -> set[str]:
        # By the database's clock what `fill` stored has waited for years.
        claims = queue.claim(
            tx, ["r", "s"], is_fresh=False, limit=2, lease=LEASE, token=new_id()
        )
        return {one.delivery_id for one in claims}

    with first.write() as mine, second.write() as theirs:
        one, other = claim(mine), claim(theirs)
    assert len(one) == len(other) == 2
    assert not one & other
