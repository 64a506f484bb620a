"""What happened, in one call each, for those on whose path every microsecond counts."""

from datetime import timedelta
from math import isnan

from bridge.metrics.names import (
    ANSWER_SECONDS,
    ATTEMPTS,
    CALL_SECONDS,
    MALFORMED,
    REFUSALS,
    REFUSED,
    RELAY_SECONDS,
    SETTLED,
    UPSTREAM_FAILURES,
    WEBHOOKS,
)
from bridge.model import DeliveryStatus, EventStatus

#: What a server refuses before it knows the door, and only a webhook can be.
_LATER_REFUSALS = (408, 413, 503)


def stored(status: EventStatus, seconds: float) -> None:
    """Note a webhook answered with 202, and how long that took."""
    WEBHOOKS.inc(status)
    ANSWER_SECONDS.observe(seconds)
    if UPSTREAM_FAILURES.get():
        UPSTREAM_FAILURES.set(0)


def refused(status: int, *, is_webhook: bool | None = None) -> int:
    """Note a request turned away.

    Args:
        status: Of the answer.
        is_webhook: Whether it came to a door for webhooks; None where the request was
            refused before that could be told.

    Returns:
        How many webhooks in a row were turned away; 0 where this was none, or where
        nothing is counted.
    """
    REFUSED.inc(REFUSALS.get(status, MALFORMED))
    if is_webhook or (is_webhook is None and status in _LATER_REFUSALS):
        before = UPSTREAM_FAILURES.get()
        if isnan(before):
            return 0
        # Two processes at once may count one too few: it is a row, not a sum.
        row = int(before) + 1
        UPSTREAM_FAILURES.set(row)
        return row
    return 0


def attempted(outcome: str, duration: timedelta) -> None:
    """Note one call; `outcome` is that of `model.Attempt`."""
    ATTEMPTS.inc(outcome.lower())
    CALL_SECONDS.observe(duration.total_seconds())


def settled(route: str, status: DeliveryStatus, since_webhook: timedelta) -> None:
    """Note where an attempt led, and how old its webhook was then."""
    SETTLED.inc(route, status)
    if status is DeliveryStatus.ACCEPTED:
        RELAY_SECONDS.observe(since_webhook.total_seconds())
