"""When an attempt is followed by another, and how long after."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from bridge import retry
from bridge.config import Retry
from bridge.model import (
    Capture,
    Claim,
    Classification,
    FailureScope,
    Outcome,
    Trigger,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MAX_AGE = timedelta(hours=72)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def claim(**changes: Any) -> Claim:
    facts: dict[str, Any] = {
        "delivery_id": "d",
        "token": "t",
        "route": "referral",
        "destination": "iterable",
        "endpoint": "email/target",
        "key": "pub:1:2",
        "recipient": "user-1",
        "attempt_no": 1,
        "attempts": 0,
        "unknown_outcomes": 0,
        "age_started_at": NOW - MINUTE,
        "expires_at": None,
        "event_id": "e",
        "event_received_at": NOW - MINUTE,
        "event_repeats": 0,
        "capture": Capture(body=b"{}"),
        "claimed_at": NOW,
    }
    return Claim(**(facts | changes))


def outcome(classification: Classification, **facts: Any) -> Outcome:
    return Outcome(classification=classification, reason="status 503: busy", **facts)


LIMITS = Retry(max_age=MAX_AGE, retry_unknown_user_after=MINUTE * 2)
RETRY = outcome(Classification.RETRY)
UNKNOWN = outcome(Classification.RETRY, is_unknown=True, max_attempts=5)


def decide(what: Outcome = RETRY, seed: int = 1, **changes: Any) -> retry.Decision:
    rng = Random(seed)
    return retry.decide(what, claim(**changes), now=NOW, limits=LIMITS, rng=rng)


def delay(what: Outcome = RETRY, seed: int = 1, **changes: Any) -> timedelta:
    decision = decide(what, seed, **changes)
    assert decision.trigger is Trigger.NOT_PROCESSED
    assert decision.delay is not None
    return decision.delay


@pytest.mark.parametrize(
    ("what", "trigger", "waits"),
    [
        (outcome(Classification.SUCCESS), Trigger.ANSWERED_OK, False),
        (outcome(Classification.SUCCESS_LIKE), Trigger.MUST_NOT_SEND, False),
        (outcome(Classification.PERMANENT), Trigger.GIVEN_UP, False),
        (
            outcome(Classification.CONFIG, scope=FailureScope.ROUTE),
            Trigger.CIRCUIT_OPEN,
            True,
        ),
        (RETRY, Trigger.NOT_PROCESSED, True),
        (UNKNOWN, Trigger.OUTCOME_UNKNOWN, True),
    ],
)
def test_each_class_has_its_trigger_and_keeps_its_reason(
    what: Outcome, trigger: Trigger, *, waits: bool
) -> None:
    decision = decide(what)
    assert (decision.trigger, decision.reason) == (trigger, what.reason)
    assert (decision.delay is not None) is waits


@pytest.mark.parametrize(
    ("attempts", "full"),
    [(0, 1), (1, 2), (2, 4), (5, 32), (8, 256), (9, 300), (10, 300), (5000, 300)],
)
def test_backoff_doubles_to_the_cap_and_jitter_takes_up_to_half(
    attempts: int, full: int
) -> None:
    waits = [delay(seed=seed, attempts=attempts) / SECOND for seed in range(300)]
    assert full / 2 <= min(waits) < full * 0.55
    assert full * 0.95 < max(waits) <= full
    assert len(set(waits)) > 250, "at the cap all would return at once"


def test_the_wait_asked_for_is_the_least_wait() -> None:
    asked = outcome(Classification.RETRY, retry_after=timedelta(seconds=60))
    assert delay(asked, attempts=0) == timedelta(seconds=60)
    assert delay(asked, attempts=9) >= timedelta(seconds=150)


@pytest.mark.parametrize(
    ("asked", "longest"),
    [
        (timedelta(days=3650), timedelta(minutes=15)),
        (timedelta.max, timedelta(minutes=15)),
        (timedelta(0), SECOND),
        (timedelta(days=-3650), SECOND),
        (timedelta.min, SECOND),
    ],
)
def test_an_absurd_retry_after_is_harmless(
    asked: timedelta, longest: timedelta
) -> None:
    got = delay(outcome(Classification.RETRY, retry_after=asked))
    assert longest / 2 <= got <= longest


def test_a_message_too_old_is_given_up() -> None:
    assert delay(age_started_at=NOW - MAX_AGE + SECOND)
    decision = decide(age_started_at=NOW - MAX_AGE)
    assert (decision.trigger, decision.delay) == (Trigger.GIVEN_UP, None)
    assert decision.reason == "given up, older than 72 hours; last: status 503: busy"


def test_a_voucher_that_expires_before_the_next_attempt_ends_it_now() -> None:
    asked = outcome(Classification.RETRY, retry_after=timedelta(minutes=10))
    soon, late = NOW + 9 * MINUTE, NOW + 11 * MINUTE
    assert decide(asked, expires_at=soon).trigger is Trigger.GIVEN_UP
    assert decide(asked, expires_at=late).trigger is Trigger.NOT_PROCESSED


def test_an_answer_worth_few_attempts_is_given_up_after_them() -> None:
    few = outcome(Classification.RETRY, max_attempts=5)
    triggers = [decide(few, attempts=attempts).trigger for attempts in range(6)]
    assert triggers == [Trigger.NOT_PROCESSED] * 4 + [Trigger.GIVEN_UP] * 2
    reason = decide(few, attempts=4).reason
    assert reason == "given up, after 5 attempts; last: status 503: busy"


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": 50},
        {"age_started_at": NOW - 2 * MAX_AGE},
        {"expires_at": NOW - MINUTE},
    ],
)
def test_what_may_have_been_sent_is_never_given_up_as_unsent(
    changes: dict[str, Any],
) -> None:
    assert decide(UNKNOWN, **changes).trigger is Trigger.OUTCOME_UNKNOWN


@pytest.mark.parametrize(
    ("policy", "unknown", "trigger"),
    [
        ("resend", 1, Trigger.POLICY_RESEND),
        ("resend", 2, Trigger.POLICY_HOLD),
        ("resend", 9, Trigger.POLICY_HOLD),
        ("hold", 1, Trigger.POLICY_HOLD),
    ],
)
def test_an_unknown_outcome_is_decided_by_the_route(
    policy: Any, unknown: int, trigger: Trigger
) -> None:
    decision = retry.in_doubt_decision(policy, unknown)
    assert decision.trigger is trigger
    assert (decision.delay is None) == (trigger is Trigger.POLICY_HOLD)


UNKNOWN_USER = outcome(Classification.PERMANENT, is_unknown_user=True)


@pytest.mark.parametrize(
    ("attempts", "age", "trigger"),
    [
        pytest.param(0, MINUTE, Trigger.NOT_PROCESSED, id="the first attempt"),
        pytest.param(0, MINUTE * 60, Trigger.NOT_PROCESSED, id="the first, late"),
        pytest.param(1, MINUTE, Trigger.NOT_PROCESSED, id="after something else"),
        pytest.param(1, MINUTE * 2, Trigger.GIVEN_UP, id="after the wait"),
        pytest.param(2, MINUTE * 60, Trigger.GIVEN_UP, id="late"),
    ],
)
def test_an_unknown_user_is_tried_once_more(
    attempts: int, age: timedelta, trigger: Trigger
) -> None:
    decision = decide(UNKNOWN_USER, attempts=attempts, age_started_at=NOW - age)
    assert decision.trigger is trigger
    assert decision.delay == (MINUTE * 2 if trigger is Trigger.NOT_PROCESSED else None)
