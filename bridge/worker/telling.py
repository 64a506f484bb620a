"""What log and metrics say of a claim that has ended."""

from bridge import log as logs
from bridge import metrics
from bridge.dispatch import Result
from bridge.model import Cause, DeliveryStatus, next_status

log = logs.get(__name__)

#: Log level and event name of each way a claim can end.
_TELL = {
    Cause.ANSWERED_OK: ("info", "delivery.accepted"),
    Cause.NOT_PROCESSED: ("info", "delivery.rescheduled"),
    Cause.OUTCOME_UNKNOWN: ("warning", "delivery.outcome_unknown"),
    Cause.GIVEN_UP: ("warning", "delivery.dead"),
    Cause.MUST_NOT_SEND: ("info", "delivery.suppressed"),
    Cause.GATE_CLOSED: ("info", "delivery.waits_at_gate"),
    Cause.UNUSABLE: ("warning", "delivery.held"),
}


def tell(result: Result) -> None:
    """Log one state change, in words that name nobody."""
    settlement, claim = result.settlement, result.claim
    if settlement.cause not in _TELL:
        return
    level, event = _TELL[settlement.cause]
    fields: dict[str, object] = {
        "delivery_id": claim.delivery_id,
        "route": claim.route,
        "attempt": claim.number,
    }
    if settlement.reason:
        fields["reason"] = settlement.reason
    if result.outcome is not None:
        fields |= {"status": result.outcome.status, "code": result.outcome.code}
    if settlement.delay is not None:
        fields["retry_in"] = round(settlement.delay.total_seconds(), 3)
    if result.dropped:
        fields["dropped_keys"] = result.dropped
    getattr(log, level)(event, **fields)


def count(result: Result, *, is_told: bool) -> None:
    """Count the call, where there was one, and where it led.

    Args:
        result: What came back.
        is_told: Whether the delivery took the step; a call happened all the same.
    """
    settlement, claim = result.settlement, result.claim
    attempt = settlement.attempt
    if attempt is not None:
        metrics.attempted(attempt.outcome, attempt.duration)
    if is_told and settlement.cause is not Cause.UNSENT:
        status = next_status(DeliveryStatus.SENDING, settlement.cause)
        ended = claim.claimed_at
        if attempt is not None:
            ended = attempt.started_at + attempt.duration
        metrics.settled(claim.route, status, ended - claim.event_received_at)
