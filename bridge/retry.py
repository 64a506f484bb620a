"""What an outcome means for a delivery, and when its next attempt is due.

Pure: no clock, no randomness of its own, no I/O.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from bridge.config import Retry
from bridge.model import Claim, Classification, Outcome, Trigger

FIRST_BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(minutes=5)
#: The longest wait that a destination may ask for.
MAX_RETRY_AFTER = timedelta(minutes=15)
#: Before a message of unknown outcome is sent once more. No jitter: send slots spread
#: these.
RESEND_DELAY = timedelta(seconds=1)
#: Between two probes of an open circuit breaker.
PROBE_EVERY = timedelta(minutes=5)
#: 2 to this is beyond any cap; more would overflow after a few hundred attempts.
_MAX_DOUBLINGS = 32
_AT_ONCE = timedelta(0)

#: What ends an attempt without a further one.
_FINAL = {
    Classification.SUCCESS: Trigger.ANSWERED_OK,
    Classification.SUCCESS_LIKE: Trigger.MUST_NOT_SEND,
    Classification.PERMANENT: Trigger.GIVEN_UP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to the delivery."""

    trigger: Trigger
    #: Wait before the next step; None where none follows by itself.
    delay: timedelta | None
    #: In plain words.
    reason: str


def decide(
    outcome: Outcome, claim: Claim, *, now: datetime, limits: Retry, rng: Random
) -> Decision:
    """Decide what follows an attempt.

    An unknown outcome is never given up here, however old the message: whether it was
    sent has to be settled first.

    Args:
        outcome: How the attempt ended.
        claim: The delivery, as it was before the attempt.
        now: The moment after the attempt, UTC.
        limits: How old a message may become while nothing is stopped, and whether an
            unknown user is tried once more.
        rng: For jitter.
    """
    wait = limits.retry_unknown_user_after
    if wait is not None and _is_awaited_user(outcome, claim, now - wait):
        reason = f"{outcome.reason}; tried once more, as the profile may be on its way"
        return Decision(trigger=Trigger.NOT_PROCESSED, delay=wait, reason=reason)
    final = _FINAL.get(outcome.classification)
    if final is not None:
        return Decision(trigger=final, delay=None, reason=outcome.reason)
    if outcome.classification is Classification.CONFIG or outcome.is_unknown:
        is_config = outcome.classification is Classification.CONFIG
        trigger = Trigger.CIRCUIT_OPEN if is_config else Trigger.OUTCOME_UNKNOWN
        return Decision(trigger=trigger, delay=_AT_ONCE, reason=outcome.reason)
    delay = _delay(outcome, claim.attempts, rng)
    end = _end(outcome, claim, now=now, delay=delay, max_age=limits.max_age)
    if end is not None:
        reason = f"given up, {end}; last: {outcome.reason}"
        return Decision(trigger=Trigger.GIVEN_UP, delay=None, reason=reason)
    return Decision(trigger=Trigger.NOT_PROCESSED, delay=delay, reason=outcome.reason)


def backoff(attempts: int, rng: Random) -> timedelta:
    """Return the wait after a failed attempt: doubled, capped, then jittered.

    The jitter takes up to half away. It comes after the cap: before it, all deliveries
    that have reached the cap would wait the same time and return at once.

    Args:
        attempts: How many were made before the failed one.
        rng: For jitter.
    """
    doubled = FIRST_BACKOFF * (1 << min(attempts, _MAX_DOUBLINGS))
    return min(doubled, MAX_BACKOFF) * rng.uniform(0.5, 1)


def in_doubt_decision(
    policy: Literal["resend", "hold"], unknown_outcomes: int
) -> Decision:
    """Decide about a delivery of unknown outcome that is not checked.

    Args:
        policy: The route's `on_unknown_outcome`.
        unknown_outcomes: So far, this one included.
    """
    if policy == "resend" and unknown_outcomes <= 1:
        return Decision(
            trigger=Trigger.POLICY_RESEND,
            delay=RESEND_DELAY,
            reason="perhaps sent; sent once more, as its route says",
        )
    if policy == "resend":
        reason = "perhaps sent, more than once; an operator must redeliver it"
    else:
        reason = "perhaps sent; held, as its route says"
    return Decision(trigger=Trigger.POLICY_HOLD, delay=None, reason=reason)


def _is_awaited_user(outcome: Outcome, claim: Claim, since: datetime) -> bool:
    """Tell whether an unknown user is to be tried once more.

    After the wait it is neither the first attempt nor young, so it is once.
    """
    if not outcome.is_unknown_user:
        return False
    is_final = outcome.classification is Classification.PERMANENT
    return is_final and (claim.attempts == 0 or claim.age_started_at > since)


def _delay(outcome: Outcome, attempts: int, rng: Random) -> timedelta:
    """Wait as long as the backoff says, and at least as long as was asked for."""
    asked = min(outcome.retry_after or _AT_ONCE, MAX_RETRY_AFTER)
    return max(backoff(attempts, rng), asked)


def _end(
    outcome: Outcome,
    claim: Claim,
    *,
    now: datetime,
    delay: timedelta,
    max_age: timedelta,
) -> str | None:
    """Say why there is no next attempt, or None where there is one."""
    made = claim.attempts + 1
    if outcome.max_attempts is not None and made >= outcome.max_attempts:
        return f"after {made} attempts"
    if now - claim.age_started_at >= max_age:
        return f"older than {max_age.total_seconds() / 3600:g} hours"
    # By then the code would be worth nothing to its owner.
    if claim.expires_at is not None and now + delay >= claim.expires_at:
        return "its voucher expires before the next attempt"
    return None
