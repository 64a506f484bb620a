"""What holds on PostgreSQL only: its clock, its outages, claims beside each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from bridge.errors import StoreUnavailable
from bridge.model import Lane
from bridge.store import Store, new_id, open_store
from tests.postgres import Postgres

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
LEASE = timedelta(seconds=30)


@pytest.fixture
def database_url(postgres: Postgres) -> str:
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
    def take(one: Store) -> list[float]:
        taken = []
        for _ in range(20):
            with one.write() as tx:
                delays = one.gates.take_slots(tx, 3, 200.0)
                taken += [monotonic() + delay.total_seconds() for delay in delays]
        return taken

    with ThreadPoolExecutor(4) as threads:
        times = sorted(t for found in threads.map(take, stores) for t in found)
    assert len(times) == 240
    assert times[-1] - times[0] >= 239 / 200 - 0.1
    for first, second in pairwise(times[::20]):
        assert second - first >= 20 / 200 - 0.1


def test_who_claims_goes_past_what_another_is_claiming(
    stores: list[Store], fill: Made
) -> None:
    fill(4)
    first, second = stores[:2]

    def claim(one: Store, tx: Any) -> set[str]:
        claims = one.queue.claim(tx, ["r"], Lane.FRESH, 2, LEASE, new_id())
        return {claim.delivery_id for claim in claims}

    with first.write() as mine, second.write() as theirs:
        one, other = claim(first, mine), claim(second, theirs)
    assert len(one) == len(other) == 2
    assert not one & other


def test_the_database_s_clock_decides(stores: list[Store]) -> None:
    one = stores[0]
    with one.write() as tx:
        found = tx.connection.exec_driver_sql("SELECT now()").scalar_one()
        assert abs(tx.now - found) < timedelta(seconds=1)
    assert abs(one.now() - tx.now) < timedelta(seconds=5)


def test_outage_heals_by_itself(
    postgres: Postgres, store: Store, new_arrival: Made, eventually: Callable[..., None]
) -> None:
    store.commits.add(new_arrival())
    postgres.stop()
    try:
        with pytest.raises(StoreUnavailable, match="No such file"):
            store.commits.add(new_arrival(), timeout=0.1)
    finally:
        postgres.start()
    eventually(lambda: stores_one(store, new_arrival))


@pytest.mark.torture
def test_outage_that_is_known_is_refused_at_once(
    postgres: Postgres, store: Store, new_arrival: Made, eventually: Callable[..., None]
) -> None:
    store.commits.add(new_arrival())
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                store.commits.add(new_arrival(), timeout=5)
        began = monotonic()
        with pytest.raises(StoreUnavailable, match="No such file"):
            store.commits.add(new_arrival(), timeout=5)
        assert monotonic() - began < 1
    finally:
        postgres.start()
    eventually(lambda: stores_one(store, new_arrival))


def stores_one(store: Store, new_arrival: Made) -> bool:
    try:
        store.commits.add(new_arrival())
    except StoreUnavailable:
        return False
    return True


def test_reasons_carry_no_values(store: Store, new_arrival: Made) -> None:
    arrival = new_arrival(event_type="secret@example.com")
    store.commits.add(arrival)
    with pytest.raises(StoreUnavailable) as caught:
        store.commits.add(new_arrival(id=arrival.id, event_type="secret@example.com"))
    assert "secret" not in caught.value.reason
