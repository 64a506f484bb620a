"""A message that fails for a week: its history stays small and tells both ends."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bridge.model import Cause, Claim, Lane, Settlement
from bridge.store import Store, new_id
from bridge.store.settling import KEPT_FIRST, KEPT_LAST

pytestmark = pytest.mark.integration

#: One attempt every five minutes.
WEEK = 7 * 24 * 12
LEASE = timedelta(seconds=30)


def fail(
    store: Store, lane: Lane, times: int, settlement: Callable[..., Settlement]
) -> None:
    """Let the one delivery that waits fail so often, in one transaction."""
    with store.write() as tx:
        for number in range(times):
            here = lane if number == 0 else Lane.RETRY
            (claim,) = store.queue.claim(tx, ["r"], here, 1, LEASE, new_id())
            store.queue.settle(tx, [settlement(claim, Cause.NOT_PROCESSED)])


def test_a_message_that_fails_for_a_week_keeps_its_first_and_last_attempts(
    store: Store,
    fill: Callable[..., list[str]],
    tick: Callable[..., datetime],
    settlement: Callable[..., Settlement],
) -> None:
    (one,) = fill(1)
    for day in range(7):
        lane = Lane.FRESH if day == 0 else Lane.RETRY
        fail(store, lane, WEEK // 7, settlement)
        tick(days=1)
    story = store.ledger.story(one)
    assert story is not None
    assert (story.delivery.attempts, story.delivery.number) == (WEEK, WEEK)
    numbers = [attempt.number for attempt in story.attempts]
    first, last = range(1, KEPT_FIRST + 1), range(WEEK - KEPT_LAST + 1, WEEK + 1)
    assert numbers == [*first, *last]


def test_an_ordinary_history_is_kept_whole(
    store: Store,
    fill: Callable[..., list[str]],
    claim: Callable[..., list[Claim]],
    settlement: Callable[..., Settlement],
) -> None:
    (one,) = fill(1)
    fail(store, Lane.FRESH, KEPT_FIRST + KEPT_LAST, settlement)
    story = store.ledger.story(one)
    assert story is not None
    assert len(story.attempts) == KEPT_FIRST + KEPT_LAST
    assert len(claim(lane=Lane.RETRY)) == 1
