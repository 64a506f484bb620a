"""One delivery's history: a sentence on what became of it, and all that happened.

Shell and console show the same entries; their redactor hides personal values. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model import (
    Attempt,
    AuditEntry,
    Circuit,
    Delivery,
    DeliveryStatus,
    StoredEvent,
    StoredReceipt,
)
from bridge.privacy import Redactor
from bridge.store.deliveries import DeliveryDetail
from bridge.text import format_time

_SENTENCES = {
    DeliveryStatus.PENDING: "Not sent yet; a running bridge sends it.",
    DeliveryStatus.SENDING: "Being sent since {changed}.",
    DeliveryStatus.IN_DOUBT: "May have been sent; the bridge is checking{reason}.",
    DeliveryStatus.ACCEPTED: "Accepted by {destination} at {changed}; no receipt yet.",
    DeliveryStatus.CONFIRMED: "Sent: {destination} confirmed it at {changed}.",
    DeliveryStatus.UNDELIVERED: "Accepted by {destination}, and not sent{reason}.",
    DeliveryStatus.HELD: "Not sent; it waits for your decision{reason}.",
    DeliveryStatus.DEAD: "Not sent; given up at {changed}{reason}.",
    DeliveryStatus.SUPPRESSED: "Not sent, and must not be{reason}.",
    DeliveryStatus.DROPPED: "Not sent; an operator dropped it at {changed}{reason}.",
}
_TONES = {"SUCCESS": "good", "SUCCESS_LIKE": "quiet", "RETRY": "waiting"}
_RECEIPTS = {
    DeliveryStatus.CONFIRMED: ("good", "Sent, says the destination"),
    DeliveryStatus.UNDELIVERED: ("bad", "Not delivered, says the destination"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened, and when by the bridge's own clock."""

    at: datetime
    title: str
    #: Colour of its mark on a page.
    tone: str = "quiet"
    text: str = ""
    #: Names and values, in order; absent values are not shown.
    facts: Sequence[tuple[str, str | None]] = ()
    #: Longer parts: name and text.
    folded: Sequence[tuple[str, str]] = ()


def history(detail: DeliveryDetail, redactor: Redactor) -> list[HistoryEntry]:
    """List what happened to a delivery, the earliest first."""
    row = detail.delivery
    found = [
        _received(detail.event, redactor),
        _made(row, redactor),
        *(_attempt(one, redactor) for one in detail.attempts),
        *(_receipt(one, redactor) for one in detail.receipts),
        *(_audit(one, redactor) for one in detail.audit),
    ]
    if row.status is DeliveryStatus.HELD and not detail.attempts:
        title, text = "Held for your decision", redactor.text(row.reason)
        entry = HistoryEntry(at=row.updated_at, title=title, tone="unsure", text=text)
        found.append(entry)
    # Stable: what happened at the same time stays in the order of cause.
    return sorted(found, key=lambda one: one.at)


def event_history(
    stored: StoredEvent, audit: Iterable[AuditEntry], redactor: Redactor
) -> list[HistoryEntry]:
    """List a webhook and what operators did with it."""
    return [_received(stored, redactor), *(_audit(one, redactor) for one in audit)]


def summary(delivery: Delivery, holding: Sequence[Circuit] = ()) -> str:
    """Say in one plain sentence what became of a delivery.

    Args:
        delivery: The delivery.
        holding: The circuit breakers it waits for.
    """
    reason = f": {delivery.reason}" if delivery.reason else ""
    if holding:
        return f"Not sent yet: {circuit_line(holding[0])}."
    if delivery.status is DeliveryStatus.PENDING and delivery.attempt_no:
        due = delivery.due_at
        when = "" if due is None else f"; next attempt {format_time(due)}"
        return f"Not sent yet{when}{reason}."
    return _SENTENCES[delivery.status].format(
        changed=format_time(delivery.updated_at),
        destination=delivery.destination,
        reason=reason,
    )


def circuit_line(circuit: Circuit) -> str:
    """Say which route or destination is stopped, and why."""
    kind, _, name = circuit.name.partition(":")
    why = f": {circuit.reason}" if circuit.reason else ""
    return f"{kind} {name} is {circuit.state.label}{why}"


def _received(stored: StoredEvent, redactor: Redactor) -> HistoryEntry:
    event, repeated, text, folded = stored.event, None, "", []
    if event.repeats and event.repeated_at is not None:
        repeated = f"{event.repeats} times, last {format_time(event.repeated_at)}"
    if event.redacted_at is not None:
        text = f"The body is no longer kept, since {format_time(event.redacted_at)}."
    else:
        headers = stored.capture.headers.items()
        lines = "\n".join(f"{name}: {redactor.text(value)}" for name, value in headers)
        folded = [("Headers", lines or "none were kept")]
        folded.append(("Body", redactor.body(stored.capture.body)))
    return HistoryEntry(
        at=event.received_at,
        title="Webhook received",
        text=text,
        facts=[
            ("Event", event.event_type or event.kind),
            ("Id", event.id),
            ("Status", event.status),
            ("Reason", redactor.text(event.reason)),
            ("Source", event.source),
            ("Endpoint", event.endpoint),
            ("Transport key", event.transport_key),
            ("Repeated", repeated),
        ],
        folded=folded,
    )


def _made(row: Delivery, redactor: Redactor) -> HistoryEntry:
    return HistoryEntry(
        at=row.created_at,
        title="Delivery made",
        facts=[
            ("Code", redactor.code(row.code)),
            ("Campaign", redactor.text(row.campaign)),
            ("Customer", row.customer_id),
            ("Recipient", redactor.person(row.recipient)),
            ("Expires", _time(row.expires_at)),
            ("Business key", redactor.text(row.key)),
        ],
    )


def _attempt(attempt: Attempt, redactor: Redactor) -> HistoryEntry:
    answer = " ".join(filter(None, (str(attempt.status or ""), attempt.code)))
    payload = attempt.payload
    return HistoryEntry(
        at=attempt.started_at,
        title=f"Attempt {attempt.number}",
        tone=_TONES.get(attempt.outcome, "bad"),
        text=redactor.text(attempt.reason),
        facts=[
            ("Answer", answer or "none"),
            ("Outcome", attempt.outcome.lower().replace("_", " ")),
            ("Took", _took(attempt.duration)),
            ("Request id", attempt.request_id),
        ],
        folded=[] if payload is None else [("Payload sent", redactor.body(payload))],
    )


def _receipt(receipt: StoredReceipt, redactor: Redactor) -> HistoryEntry:
    tone, title = "quiet", "Receipt"
    if receipt.result in _RECEIPTS:
        tone, title = _RECEIPTS[receipt.result]
    return HistoryEntry(
        at=receipt.received_at,
        title=title,
        tone=tone,
        text=redactor.text(receipt.reason),
        facts=[
            ("Receipt", f"{receipt.event_name}, {receipt.type}"),
            ("Happened", _time(receipt.occurred_at)),
            ("Message id", receipt.message_id),
            ("Matched by", receipt.matched_by),
        ],
    )


def _audit(entry: AuditEntry, redactor: Redactor) -> HistoryEntry:
    return HistoryEntry(
        at=entry.at,
        title=f"Operator action: {entry.action.replace('_', ' ')}",
        tone="hand",
        text=redactor.text(entry.reason),
        facts=[("By", entry.actor), ("Status before", entry.status)],
    )


def _time(value: datetime | None) -> str | None:
    return None if value is None else format_time(value)


def _took(value: timedelta) -> str:
    seconds = value.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
