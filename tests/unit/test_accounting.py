"""Counting: what Iterable shows, less what the ledger explains otherwise."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.accounting import SKEW, Send, Target, conclude, target_of, window
from bridge.model import Cause, Recipient, UserId

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
LAG = timedelta(seconds=60)
FOUND, NOT_FOUND = Cause.CHECK_FOUND, Cause.CHECK_NOT_FOUND
UNDECIDABLE, FAILED = Cause.CHECK_UNDECIDABLE, Cause.CHECK_FAILED


def send(seconds: float = 0, *, certain: bool = True, **changes: Any) -> Send:
    """Make one that began so many seconds after noon and took one."""
    start = NOON + timedelta(seconds=seconds)
    end = start + timedelta(seconds=1)
    return Send(started_at=start, ended_at=end, is_certain=certain, **changes)


@pytest.mark.parametrize(
    ("found", "doubts", "certain", "perhaps", "cause"),
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
    found: int, doubts: int, certain: int, perhaps: int, cause: Cause
) -> None:
    sends = [send()] * certain + [send(certain=False)] * perhaps
    assert conclude(found, doubts, sends, NOON - LAG)[0] is cause


def test_what_was_sent_before_the_window_explains_nothing_in_it() -> None:
    assert conclude(1, 1, [send(-3600)], NOON)[0] is FOUND


def test_a_scheduled_one_may_show_up_whenever_it_was_asked_for() -> None:
    one = send(-86400, certain=False, is_scheduled=True)
    assert conclude(1, 1, [one], NOON)[0] is UNDECIDABLE


def test_the_window_begins_before_the_first_doubt_by_more_than_clocks_differ() -> None:
    assert window(NOON, [], LAG) == NOON - SKEW


def test_the_window_moves_back_until_no_send_could_be_on_either_side_of_it() -> None:
    near, nearer = send(-100), send(-40)
    since = window(NOON, [near, send(-3600), nearer], LAG)
    assert since == near.started_at - SKEW
    assert conclude(2, 1, [near, nearer], since)[0] is NOT_FOUND


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"recipientUserId": "u"}, Recipient(user_id=UserId("u"))),
        ({"recipientEmail": "a@b.example"}, Recipient(email="a@b.example")),
        (
            {"recipientUserId": "u", "recipientEmail": "a@b.example"},
            Recipient(email="a@b.example"),
        ),
    ],
    ids=["user id", "address", "both: the address wins"],
)
def test_a_payload_names_person_and_campaign(
    person: dict[str, str], expected: Recipient
) -> None:
    payload = json.dumps({"campaignId": 7, **person}).encode()
    target = Target(person=expected, campaign_id=7, is_scheduled=False)
    assert target_of(payload) == target


def test_a_payload_with_a_time_of_its_own_is_scheduled() -> None:
    body = {"campaignId": 7, "recipientUserId": "u", "sendAt": "2026-08-21 00:00:00"}
    target = target_of(json.dumps(body).encode())
    assert target is not None
    assert target.is_scheduled


@pytest.mark.parametrize(
    "payload",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b'{"campaignId":"7","recipientUserId":"u"}',
        b'{"campaignId":7}',
    ],
)
def test_a_payload_that_names_neither_has_no_target(payload: bytes | None) -> None:
    assert target_of(payload) is None
