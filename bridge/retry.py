"""What an outcome means for a delivery, and when its next attempt is due.

Pure: no clock, no randomness of its own, no I/O.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from bridge.config import Retry
from bridge.model import Cause, Claim, Classification, Outcome

FIRST_BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(minutes=5)
#: The longest wait another party may ask for.
MAX_RETRY_AFTER = timedelta(minutes=15)
#: Before a message in doubt is sent once more. No jitter: send slots spread these.
RESEND_DELAY = timedelta(seconds=1)
#: Between two probes of a closed gate.
PROBE_EVERY = timedelta(minutes=5)
#: Sends in a row, unanswered or in doubt, that speak of an outage, not of themselves.
NARROW_AFTER = 5
#: 2 to this is beyond any cap; more would overflow after a few hundred attempts.
_MAX_DOUBLINGS = 32

AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to the delivery."""

    cause: Cause
    #: Wait before the next step; None where none follows by itself.
    delay: timedelta | None
    #: In plain words.
    reason: str


_UNKNOWN_USER = ("UnknownUserIdError", "UnknownEmailError")
#: What ends an attempt without a further one.
_FINAL = {
    Classification.SUCCESS: Cause.ANSWERED_OK,
    Classification.SUCCESS_LIKE: Cause.MUST_NOT_SEND,
    Classification.PERMANENT: Cause.GIVEN_UP,
}


def decide(
    outcome: Outcome,
    claim: Claim,
    *,
    now: datetime,
    limits: Retry,
    rng: Random,
) -> Decision:
    """Decide what follows an attempt.

    An unknown outcome is never given up here, however old the message: whether it was
    sent has to be settled first.

    Args:
        outcome: How the attempt ended.
        claim: The delivery, as it was before the attempt.
        now: The moment after the attempt, aware.
        limits: How long a message may wait in front of open gates, and whether an
            unknown user is tried once more.
        rng: For jitter.
    """
    grace = limits.unknown_user_grace
    if grace is not None and _is_in_grace(outcome, claim, now - grace):
        reason = f"{outcome.reason}; tried once more, as the profile may be on its way"
        return Decision(cause=Cause.NOT_PROCESSED, delay=grace, reason=reason)
    final = _FINAL.get(outcome.classification)
    if final is not None:
        return Decision(cause=final, delay=None, reason=outcome.reason)
    if outcome.classification is Classification.CONFIG:
        return Decision(cause=Cause.GATE_CLOSED, delay=AT_ONCE, reason=outcome.reason)
    if outcome.is_unknown:
        return Decision(
            cause=Cause.OUTCOME_UNKNOWN, delay=AT_ONCE, reason=outcome.reason
        )
    delay = _delay(outcome, claim.attempts, rng)
    end = _end(outcome, claim, now=now, delay=delay, max_age=limits.max_age)
    if end is not None:
        reason = f"given up, {end}; last: {outcome.reason}"
        return Decision(cause=Cause.GIVEN_UP, delay=None, reason=reason)
    return Decision(cause=Cause.NOT_PROCESSED, delay=delay, reason=outcome.reason)


def _is_in_grace(outcome: Outcome, claim: Claim, since: datetime) -> bool:
    """Tell whether an unknown user is to be tried once more.

    After the wait it is neither the first attempt nor young, so it is once.
    """
    if outcome.code not in _UNKNOWN_USER:
        return False
    is_final = outcome.classification is Classification.PERMANENT
    return is_final and (claim.attempts == 0 or claim.aging_since > since)


def backoff(attempts: int, rng: Random) -> timedelta:
    """Return the wait after a failed attempt: doubled, capped, then jittered.

    The jitter takes up to half away. It comes after the cap: before it, everybody who
    has reached the cap would wait the same time and return at once.

    Args:
        attempts: How many were made before the failed one.
        rng: For jitter.
    """
    doubled = FIRST_BACKOFF * (1 << min(attempts, _MAX_DOUBLINGS))
    return min(doubled, MAX_BACKOFF) * rng.uniform(0.5, 1)


def doubt(policy: str, doubts: int) -> Decision:
    """Decide about a delivery of which nobody knows whether it was sent, unchecked.

    Args:
        policy: The route's `in_doubt`, `resend` or `hold`.
        doubts: Unknown outcomes so far, this one included.
    """
    if policy == "resend" and doubts <= 1:
        return Decision(
            cause=Cause.POLICY_RESEND,
            delay=RESEND_DELAY,
            reason="sent perhaps; sent once more, as its route says",
        )
    if policy == "resend":
        reason = "sent perhaps, more than once; sent again only by hand"
    else:
        reason = "sent perhaps; held, as its route says"
    return Decision(cause=Cause.POLICY_HOLD, delay=None, reason=reason)


def _delay(outcome: Outcome, attempts: int, rng: Random) -> timedelta:
    """Wait as long as the backoff says, and at least as long as was asked for."""
    asked = min(outcome.retry_after or AT_ONCE, MAX_RETRY_AFTER)
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
    if now - claim.aging_since >= max_age:
        return f"older than {max_age.total_seconds() / 3600:g} hours"
    expiry = claim.voucher_expires_at
    # By then the code would be worth nothing to its owner.
    if expiry is not None and now + delay >= expiry:
        return "its voucher expires before the next attempt"
    return None
