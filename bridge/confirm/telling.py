"""What became of one webhook, for its answer and for the log; names nobody."""

from dataclasses import dataclass

from bridge import log as logs
from bridge import metrics
from bridge.model import Became, Match

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one webhook came to."""

    became: Became
    event_name: str | None
    delivery_id: str | None = None
    route: str | None = None
    match: Match | None = None
    reason: str | None = None
    campaign_id: int | None = None
    #: The gate that was closed by it, or opened.
    closed: str | None = None
    opened: str | None = None
    #: What came of the same message before, and found its delivery by this.
    earlier: tuple["Told", ...] = ()


_EVENTS = {
    Became.CONFIRMED: ("info", "delivery.confirmed"),
    Became.UNDELIVERED: ("warning", "delivery.undelivered"),
    Became.NOTED: ("info", "report.noted"),
    Became.REPEATED: ("info", "report.repeated"),
    Became.UNMATCHED: ("info", "report.unmatched"),
    Became.IGNORED: ("info", "report.ignored"),
}


def tell(told: Told) -> None:
    """Log it, and count it."""
    metrics.REPORTS.inc(told.became)
    level, event = _EVENTS[told.became]
    fields = {
        "delivery_id": told.delivery_id,
        "route": told.route,
        "report": told.event_name,
        "matched_by": told.match,
        "reason": told.reason,
        "campaign_id": told.campaign_id,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    getattr(log, level)(event, **known)
    if told.closed is not None:
        log.error("gate.closed", gate=told.closed, reason=told.reason)
    if told.opened is not None:
        log.info("gate.opened", gate=told.opened, by="report")
    for one in told.earlier:
        tell(one)
