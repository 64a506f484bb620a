"""What the log says of a claim that has ended."""

from bridge import log as logs
from bridge.dispatch import Result
from bridge.model import Cause

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
