"""What log and metrics say of a claim that has ended; called after the commit."""

from bridge import logging as logs
from bridge import metrics
from bridge.delivery.tasks import SendResult
from bridge.model import DeliveryStatus, Trigger, next_status

log = logs.get(__name__)

#: Log level and event name of each way a claim can end.
_EVENTS = {
    Trigger.ANSWERED_OK: ("info", "delivery.accepted"),
    Trigger.NOT_PROCESSED: ("info", "delivery.rescheduled"),
    Trigger.OUTCOME_UNKNOWN: ("warning", "delivery.outcome_unknown"),
    Trigger.GIVEN_UP: ("warning", "delivery.dead"),
    Trigger.MUST_NOT_SEND: ("info", "delivery.suppressed"),
    Trigger.CIRCUIT_OPEN: ("info", "delivery.waits_for_circuit"),
    Trigger.UNUSABLE: ("warning", "delivery.held"),
}


def log_result(one: SendResult) -> None:
    """Log one state change, in words that name no person."""
    result, claim = one.result, one.claim
    if result.trigger not in _EVENTS:
        return
    level, event = _EVENTS[result.trigger]
    fields: dict[str, object] = {
        "delivery_id": claim.delivery_id,
        "route": claim.route,
        "attempt": claim.attempt_no,
    }
    if result.reason:
        fields["reason"] = result.reason
    if one.outcome is not None:
        fields["status"] = one.outcome.status
    if result.delay is not None:
        fields["retry_in"] = round(result.delay.total_seconds(), 3)
    if one.dropped:
        fields["dropped"] = one.dropped
    getattr(log, level)(event, **fields)


def record_metrics(one: SendResult, *, is_applied: bool) -> None:
    """Count the call, where there was one, and where it led.

    Args:
        one: What came back.
        is_applied: Whether the delivery took the step; a call happened all the same.
    """
    result, claim = one.result, one.claim
    attempt = result.attempt
    if attempt is not None:
        seconds = attempt.duration.total_seconds()
        metrics.record_attempt(claim.destination, attempt.outcome, seconds)
    if one.dropped:
        metrics.record_dropped_keys(claim.route, one.dropped)
    if not is_applied or result.trigger is Trigger.UNSENT:
        return
    status = next_status(DeliveryStatus.SENDING, result.trigger)
    metrics.record_result(claim.route, status)
    if status is DeliveryStatus.ACCEPTED and attempt is not None:
        waited = attempt.started_at + attempt.duration - claim.event_received_at
        metrics.record_latency(claim.destination, waited.total_seconds())
