"""What a report proves; pure."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.iterable import means
from bridge.model import (
    TRANSITIONS,
    Classification,
    DeliveryStatus,
    Gate,
    GateState,
    Match,
    News,
    Report,
)
from bridge.store import Sending, Standing

#: Iterable tells the time in whole seconds.
SECOND = timedelta(seconds=1)
#: How far its clock and ours may be apart.
SKEW = timedelta(minutes=1)
#: States in which a report without the delivery's own id may move it: such a match is
#: good, but no proof against what is under way.
_SETTLED = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)
_SHUT = (GateState.CLOSED, GateState.PROBING)


def step(standing: Standing, report: Report, match: Match) -> DeliveryStatus | None:
    """Say what a delivery becomes by a report; None where it stays as it is."""
    after = TRANSITIONS.get((standing.status, report.news.cause))
    is_own = match is Match.BRIDGE_ID
    if after is None or not (is_own or standing.status in _SETTLED):
        return None
    return None if _is_about_earlier(standing, report) else after


def _is_about_earlier(standing: Standing, report: Report) -> bool:
    """Tell whether a report is about what was sent before a redelivery."""
    if not standing.is_again or report.occurred_at is None:
        return False
    return report.occurred_at < standing.since - SKEW


def nearest(report: Report, sendings: Sequence[Sending], now: datetime) -> str | None:
    """Choose the last send through the report's campaign before it happened.

    Args:
        report: Names the campaign.
        sendings: What may be meant.
        now: For a report that does not say when it happened.
    """
    at = report.occurred_at or now
    fit = of_campaign(report, sendings)
    before = [one for one in fit if one.sent_at <= at + SECOND]
    if before:
        return max(before, key=lambda one: one.sent_at).id
    # Sent after it happened, says a clock that is a little ahead of Iterable's.
    first = min(fit, key=lambda one: one.sent_at, default=None)
    return None if first is None else first.id


def of_campaign(report: Report, sendings: Sequence[Sending]) -> list[Sending]:
    """Choose what was sent through the report's campaign."""
    return [one for one in sendings if _campaign(one.payload) == report.campaign_id]


def _campaign(payload: bytes) -> int | None:
    """Read the campaign out of what was sent."""
    document = json.loads(payload)
    number = document.get("campaignId") if isinstance(document, dict) else None
    return number if isinstance(number, int) else None


def reason_of(report: Report) -> str:
    """Say in words what a report says."""
    name, word = report.event_name, report.reason
    match report.news:
        case News.SENT:
            return f"Iterable handed it over ({name})"
        case News.COMPLAINED:
            return f"it arrived, and was called spam ({name})"
        case News.BOUNCED:
            return f"it came back ({name}{'' if word is None else f': {word}'})"
        case News.SKIPPED:
            return f"Iterable skipped it: {word or 'no reason given'}: {means(word)[1]}"


def to_mend(report: Report) -> str | None:
    """Say what to mend where every message of the route would fare alike."""
    meaning, advice = means(report.reason)
    if report.news is not News.SKIPPED or meaning is not Classification.CONFIG:
        return None
    return f"Iterable skips its messages: {report.reason}: {advice}"


def is_proof(standing: Standing, gate: Gate) -> bool:
    """Tell whether a delivery, reported sent, shows that its gate may open."""
    return (
        gate.awaits_proof
        and gate.state in _SHUT
        and gate.closed_at is not None
        and standing.status is not DeliveryStatus.SENDING
        and standing.sent_at is not None
        and standing.sent_at > gate.closed_at
    )
