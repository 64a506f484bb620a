"""What was put off by a clock that has been set back, and what was not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bridge.model import Cause, Claim, Lane, Settlement
from bridge.store import Store

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)


def test_what_waits_beyond_any_wait_is_due_after_the_clock_was_set_back(
    store: Store, clock: Any, fill: Callable[..., list[str]], claim: Callable[..., Any]
) -> None:
    clock.now += HOUR
    waiting = fill(3)
    clock.now -= HOUR
    assert claim() == []
    with store.write() as tx:
        assert store.queue.pull_in(tx, ["r", "other"]) == 3
        assert store.queue.pull_in(tx, ["r", "other"]) == 0
    assert sorted(one.delivery_id for one in claim()) == sorted(waiting)


def test_an_ordinary_wait_is_left_alone(
    store: Store,
    fill: Callable[..., list[str]],
    claim: Callable[..., list[Claim]],
    settlement: Callable[..., Settlement],
) -> None:
    fill(1)
    (claimed,) = claim()
    wait = timedelta(minutes=15)
    with store.write() as tx:
        later = settlement(claimed, Cause.NOT_PROCESSED, delay=wait)
        assert store.queue.settle(tx, [later]) == [claimed.delivery_id]
        assert store.queue.pull_in(tx, ["r"]) == 0
    assert claim(lane=Lane.RETRY) == []
