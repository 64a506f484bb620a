"""Refusals as Voucherify sees them: after 12 in a row it switches the webhook off.

So they are counted, and long before that somebody is told.
"""

from bridge import log as logs
from bridge import metrics

log = logs.get(__name__)

#: Every how many refusals in a row there is an alarm.
EVERY = 3
#: Refusals of one webhook after which Voucherify gives up.
GIVES_UP = 12
#: Beyond that it is a flood, and told of as such.
FLOOD = 100
TOO_LARGE, UNAUTHORIZED = 413, 401

_HINTS = {
    TOO_LARGE: "a webhook is larger than receive.max_body_bytes; it will come again",
    UNAUTHORIZED: "signatures fail: is VOUCHERIFY_WEBHOOK_SECRET the one in use?",
}


def refused(status: int, *, is_webhook: bool | None = None) -> None:
    """Note a request turned away; see `metrics.refused`."""
    row = metrics.refused(status, is_webhook=is_webhook)
    if _is_alarming(status, row):
        hint = _HINTS.get(status, "webhooks are not stored")
        log.error("upstream.alarm", failures=row, status=status, reason=hint)


def _is_alarming(status: int, row: int) -> bool:
    """Tell whether so many in a row, the last with this status, need telling."""
    if row > GIVES_UP:
        return row % FLOOD == 0
    # The same webhook will be too large each time.
    return row > 0 and (status == TOO_LARGE or row % EVERY == 0)
