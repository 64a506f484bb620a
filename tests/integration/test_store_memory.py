"""Looking up what is known, without writing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bridge.store import Store
from bridge.store.memory import Memory

pytestmark = pytest.mark.integration

Made = Callable[..., Any]


def test_a_stored_event_is_used_and_an_ignored_one_is_not(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    stored = new_arrival(new_delivery(), transport_key="whs_1")
    store.commits.add(stored)
    store.commits.add(new_arrival(transport_key="whs_2"))
    used = Memory(store).used_events(["whs_1", "whs_2", "whs_3"])
    assert used == {"whs_1": stored.id}


def test_a_hashed_event_is_forgotten_after_25_hours(
    store: Store, new_arrival: Made, new_delivery: Made, tick: Made
) -> None:
    arrival = new_arrival(new_delivery(), transport_key="sha256:a", is_hashed=True)
    store.commits.add(arrival)
    tick(hours=24)
    assert Memory(store).used_events(["sha256:a"]) != {}
    tick(hours=1)
    assert Memory(store).used_events(["sha256:a"]) == {}


def test_a_key_is_taken_until_it_expires_and_on_its_route_only(
    store: Store, new_arrival: Made, new_delivery: Made, tick: Made
) -> None:
    one = new_delivery("pub:1", keys=(("pub:1", timedelta(days=30)),))
    store.commits.add(new_arrival(one))
    pairs = [("r", "pub:1"), ("other", "pub:1"), ("r", "pub:2")]
    assert Memory(store).taken_keys(pairs) == {("r", "pub:1"): one.id}
    tick(days=30)
    assert Memory(store).taken_keys(pairs) == {}


def test_more_keys_than_one_statement_takes_are_looked_up(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    one = new_delivery("pub:4999")
    store.commits.add(new_arrival(one))
    pairs = [("r", f"pub:{number}") for number in range(5000)]
    assert Memory(store).taken_keys(pairs) == {("r", "pub:4999"): one.id}
