"""When an attempt is followed by another, and how long after."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from bridge import retry
from bridge.config import Retry
from bridge.http import Reply
from bridge.iterable import classify
from bridge.model import Blame, Capture, Cause, Claim, Classification, Outcome

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MAX_AGE = timedelta(hours=72)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def claim(**changes: Any) -> Claim:
    facts: dict[str, Any] = {
        "delivery_id": "d",
        "token": "t",
        "route": "referral",
        "endpoint": "email/target",
        "key": "pub:1:2",
        "number": 1,
        "attempts": 0,
        "doubts": 0,
        "aging_since": NOW - MINUTE,
        "voucher_expires_at": None,
        "event_id": "e",
        "event_received_at": NOW - MINUTE,
        "event_repeats": 0,
        "capture": Capture(body=b"{}"),
        "claimed_at": NOW,
    }
    return Claim(**(facts | changes))


def outcome(classification: Classification, **facts: Any) -> Outcome:
    return Outcome(classification=classification, reason="status 503: busy", **facts)


LIMITS = Retry(max_age=MAX_AGE, unknown_user_grace=MINUTE * 2)
RETRY = outcome(Classification.RETRY)
UNKNOWN = outcome(Classification.RETRY, is_unknown=True, max_attempts=5)


def decide(what: Outcome = RETRY, seed: int = 1, **changes: Any) -> retry.Decision:
    rng = Random(seed)
    return retry.decide(what, claim(**changes), now=NOW, limits=LIMITS, rng=rng)


def delay(what: Outcome = RETRY, seed: int = 1, **changes: Any) -> timedelta:
    decision = decide(what, seed, **changes)
    assert decision.cause is Cause.NOT_PROCESSED
    assert decision.delay is not None
    return decision.delay


@pytest.mark.parametrize(
    ("what", "cause", "waits"),
    [
        (outcome(Classification.SUCCESS), Cause.ANSWERED_OK, False),
        (outcome(Classification.SUCCESS_LIKE), Cause.MUST_NOT_SEND, False),
        (outcome(Classification.PERMANENT), Cause.GIVEN_UP, False),
        (outcome(Classification.CONFIG, blame=Blame.ROUTE), Cause.GATE_CLOSED, True),
        (RETRY, Cause.NOT_PROCESSED, True),
        (UNKNOWN, Cause.OUTCOME_UNKNOWN, True),
    ],
)
def test_each_class_has_its_cause_and_keeps_its_reason(
    what: Outcome, cause: Cause, *, waits: bool
) -> None:
    decision = decide(what)
    assert (decision.cause, decision.reason) == (cause, what.reason)
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
    assert len(set(waits)) > 250, "at the cap everybody would return at once"


def test_the_same_seed_gives_the_same_wait() -> None:
    assert delay(seed=7) == delay(seed=7)
    assert delay(seed=7) != delay(seed=8)


def test_what_was_asked_for_is_the_least_wait() -> None:
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
def test_an_absurd_wish_is_harmless(asked: timedelta, longest: timedelta) -> None:
    got = delay(outcome(Classification.RETRY, retry_after=asked))
    assert longest / 2 <= got <= longest


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("60", 60, 60),
        ("Wed, 04 Mar 2026 05:07:07 GMT", 60, 60),
        ("Wed, 04 Mar 2026 05:05:07 GMT", 0.5, 1),
        ("Mon, 04 Mar 2036 05:06:07 GMT", 900, 900),
        ("315360000", 900, 900),
        ("-60", 0.5, 1),
        ("0", 0.5, 1),
        ("in a while", 0.5, 1),
    ],
    ids=["seconds", "date", "past", "far", "ten-years", "negative", "zero", "text"],
)
def test_retry_after_becomes_the_wait(header: str, least: float, most: float) -> None:
    headers = {"retry-after": header, "date": "Wed, 04 Mar 2026 05:06:07 GMT"}
    reply = Reply(status=429, headers=headers, body=b"{}")
    got = delay(classify("POST /api/email/target", reply, None)) / SECOND
    assert least <= got <= most


def test_a_message_too_old_is_given_up() -> None:
    assert delay(aging_since=NOW - MAX_AGE + SECOND)
    decision = decide(aging_since=NOW - MAX_AGE)
    assert (decision.cause, decision.delay) == (Cause.GIVEN_UP, None)
    assert decision.reason == "given up, older than 72 hours; last: status 503: busy"


def test_a_voucher_that_expires_ends_it_sooner() -> None:
    decision = decide(voucher_expires_at=NOW - SECOND)
    assert (decision.cause, decision.delay) == (Cause.GIVEN_UP, None)
    assert "its voucher expires before the next attempt" in decision.reason
    assert delay(voucher_expires_at=NOW + 2 * SECOND)


def test_a_voucher_that_expires_before_the_next_attempt_ends_it_now() -> None:
    asked = outcome(Classification.RETRY, retry_after=timedelta(minutes=10))
    soon, late = NOW + 9 * MINUTE, NOW + 11 * MINUTE
    assert decide(asked, voucher_expires_at=soon).cause is Cause.GIVEN_UP
    assert decide(asked, voucher_expires_at=late).cause is Cause.NOT_PROCESSED


def test_an_answer_worth_few_attempts_is_given_up_after_them() -> None:
    few = outcome(Classification.RETRY, max_attempts=5)
    causes = [decide(few, attempts=attempts).cause for attempts in range(6)]
    assert causes == [Cause.NOT_PROCESSED] * 4 + [Cause.GIVEN_UP] * 2
    reason = decide(few, attempts=4).reason
    assert reason == "given up, after 5 attempts; last: status 503: busy"


def test_other_answers_are_repeated_as_long_as_the_age_allows() -> None:
    assert delay(attempts=4000)


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": 50},
        {"aging_since": NOW - 2 * MAX_AGE},
        {"voucher_expires_at": NOW - MINUTE},
    ],
)
def test_what_may_have_been_sent_is_never_given_up_as_unsent(
    changes: dict[str, Any],
) -> None:
    assert decide(UNKNOWN, **changes).cause is Cause.OUTCOME_UNKNOWN


@pytest.mark.parametrize(
    ("policy", "doubts", "cause"),
    [
        ("resend", 1, Cause.POLICY_RESEND),
        ("resend", 2, Cause.POLICY_HOLD),
        ("resend", 9, Cause.POLICY_HOLD),
        ("hold", 1, Cause.POLICY_HOLD),
    ],
)
def test_a_doubt_is_decided_by_the_route(
    policy: str, doubts: int, cause: Cause
) -> None:
    decision = retry.doubt(policy, doubts)
    assert decision.cause is cause
    assert (decision.delay is None) == (cause is Cause.POLICY_HOLD)


def test_every_held_doubt_says_why() -> None:
    held = [("resend", 2), ("hold", 1)]
    reasons = [retry.doubt(policy, doubts).reason for policy, doubts in held]
    assert len(set(reasons)) == 2


STRANGER = outcome(Classification.PERMANENT, code="UnknownUserIdError")


@pytest.mark.parametrize(
    ("attempts", "age", "cause"),
    [
        pytest.param(0, MINUTE, Cause.NOT_PROCESSED, id="the first attempt"),
        pytest.param(0, MINUTE * 60, Cause.NOT_PROCESSED, id="the first, late"),
        pytest.param(1, MINUTE, Cause.NOT_PROCESSED, id="after something else"),
        pytest.param(1, MINUTE * 2, Cause.GIVEN_UP, id="after the wait"),
        pytest.param(2, MINUTE * 60, Cause.GIVEN_UP, id="late"),
    ],
)
def test_a_user_nobody_knows_yet_is_tried_once_more(
    attempts: int, age: timedelta, cause: Cause
) -> None:
    decision = decide(STRANGER, attempts=attempts, aging_since=NOW - age)
    assert decision.cause is cause
    assert decision.delay == (MINUTE * 2 if cause is Cause.NOT_PROCESSED else None)


def test_a_user_nobody_knows_is_given_up_where_no_grace_is_set() -> None:
    limits = Retry(max_age=MAX_AGE)
    rng = Random(1)
    decision = retry.decide(STRANGER, claim(), now=NOW, limits=limits, rng=rng)
    assert decision.cause is Cause.GIVEN_UP
