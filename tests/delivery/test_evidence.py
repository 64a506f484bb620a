"""Counting: what a destination shows, less what the ledger explains otherwise."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.delivery.evidence import (
    SKEW,
    ExplainedSend,
    compare_counts,
    query_start,
)
from bridge.model import Trigger

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
LAG = timedelta(seconds=60)
FOUND, NOT_FOUND = Trigger.CHECK_FOUND, Trigger.CHECK_NOT_FOUND
UNDECIDABLE, FAILED = Trigger.CHECK_UNDECIDABLE, Trigger.CHECK_FAILED


def send(seconds: float = 0, *, certain: bool = True, **changes: Any) -> ExplainedSend:
    """Make one that began so many seconds after noon and took one."""
    start = NOON + timedelta(seconds=seconds)
    end = start + timedelta(seconds=1)
    return ExplainedSend(started_at=start, ended_at=end, is_certain=certain, **changes)


@pytest.mark.parametrize(
    ("shown", "in_doubt", "certain", "perhaps", "trigger"),
    [
        pytest.param(0, 1, 0, 0, NOT_FOUND, id="nothing shown"),
        pytest.param(1, 1, 0, 0, FOUND, id="the one shown"),
        pytest.param(2, 1, 0, 0, FOUND, id="shown twice"),
        pytest.param(1, 1, 1, 0, NOT_FOUND, id="a neighbour explains it"),
        pytest.param(2, 1, 1, 0, FOUND, id="both shown"),
        pytest.param(0, 1, 1, 0, FAILED, id="not even the neighbour is shown"),
        pytest.param(0, 2, 0, 0, NOT_FOUND, id="neither of two"),
        pytest.param(1, 2, 0, 0, UNDECIDABLE, id="one of two"),
        pytest.param(2, 2, 0, 0, FOUND, id="both of two"),
        pytest.param(2, 2, 1, 0, UNDECIDABLE, id="one of two beside a neighbour"),
        pytest.param(3, 2, 1, 0, FOUND, id="both beside a neighbour"),
        pytest.param(0, 1, 0, 1, NOT_FOUND, id="nor what was perhaps sent"),
        pytest.param(1, 1, 0, 1, UNDECIDABLE, id="it, or what was perhaps sent"),
        pytest.param(2, 1, 0, 1, FOUND, id="it and what was perhaps sent"),
    ],
)
def test_what_is_shown_decides_unless_it_could_be_another(
    shown: int, in_doubt: int, certain: int, perhaps: int, trigger: Trigger
) -> None:
    sends = [send()] * certain + [send(certain=False)] * perhaps
    assert compare_counts(shown, in_doubt, sends, NOON - LAG)[0] is trigger


def test_what_was_sent_before_the_window_explains_nothing_in_it() -> None:
    assert compare_counts(1, 1, [send(-3600)], NOON)[0] is FOUND


def test_a_scheduled_one_may_show_up_whenever_it_was_asked_for() -> None:
    one = send(-86400, certain=False, is_scheduled=True)
    assert compare_counts(1, 1, [one], NOON)[0] is UNDECIDABLE


def test_the_window_begins_before_the_first_doubt_by_more_than_clocks_differ() -> None:
    assert query_start(NOON, [], LAG) == NOON - SKEW


def test_the_window_moves_back_until_no_send_could_be_on_either_side_of_it() -> None:
    near, nearer = send(-100), send(-40)
    since = query_start(NOON, [near, send(-3600), nearer], LAG)
    assert since == near.started_at - SKEW
    assert compare_counts(2, 1, [near, nearer], since)[0] is NOT_FOUND
