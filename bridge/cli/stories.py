"""Deliveries and events as people read them: in a list, or one in full."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bridge.cli.gates import gate_line
from bridge.cli.printing import table, text
from bridge.model import Attempt, Gate, KeptReport
from bridge.steering.legible import moment, pretty
from bridge.store import Deed, DeliveryRow, StoredEvent, Story

_WIDTH = 13
#: Shown in place of a body.
NOT_KEPT = "what it held is no longer kept (retention, or `forget`)"
_HEAD = ("ID", "STATUS", "ROUTE", "RECIPIENT", "CODE", "CREATED", "REASON")


def delivery_table(rows: Iterable[DeliveryRow]) -> Iterator[str]:
    """List deliveries, a line each."""
    cells = [
        (
            one.id,
            one.status,
            one.route,
            one.recipient,
            one.code,
            one.created_at,
            one.reason,
        )
        for one in rows
    ]
    return table(_HEAD, cells)


def delivery_story(story: Story, gates: Sequence[Gate] = ()) -> Iterator[str]:
    """Tell what came, what stands, every attempt and report in the order of time.

    Args:
        story: What the ledger knows.
        gates: At which the delivery waits.
    """
    yield from event_story(story.event)
    yield ""
    yield from _delivery(story.delivery)
    for gate in gates:
        yield from _facts([("waits at", gate_line(gate))])
    if not story.attempts:
        yield ""
        yield "No attempt yet."
    happened: list[Attempt | KeptReport] = [*story.attempts, *story.reports]
    for one in sorted(happened, key=_moment):
        yield ""
        yield from _attempt(one) if isinstance(one, Attempt) else _report(one)
    for deed in story.deeds:
        yield ""
        yield from _deed(deed)


def event_story(event: StoredEvent) -> Iterator[str]:
    """Tell what came and what it became."""
    yield f"Event {event.id}"
    repeats = None
    if event.repeats and event.repeated_at is not None:
        repeats = f"{event.repeats} times, last {moment(event.repeated_at)}"
    yield from _facts(
        [
            ("received", event.received_at),
            ("repeated", repeats),
            ("kind", " ".join(filter(None, (event.kind, event.event_type)))),
            ("door", event.door),
            ("became", event.status),
            ("because", event.reason),
            ("transport key", event.transport_key),
            ("blanked", event.blanked_at),
        ]
    )
    if event.blanked_at is None:
        yield from _indented(pretty(event.capture.body))
    else:
        yield f"    {NOT_KEPT}"


def _delivery(row: DeliveryRow) -> Iterator[str]:
    yield f"Delivery {row.id}"
    message = row.scheduled_message_id
    yield from _facts(
        [
            ("status", row.status),
            ("because", row.reason),
            ("route", f"{row.route}, {row.endpoint}"),
            ("recipient", row.recipient),
            ("customer", row.customer_id),
            ("code", row.code),
            ("campaign", row.campaign),
            ("business key", row.key),
            ("created", row.created_at),
            ("changed", row.updated_at),
            ("due", row.due_at),
            ("expires", row.voucher_expires_at),
            ("attempts", f"{row.number}, {row.attempts} of them in this count"),
            ("in doubt", f"{row.doubts} times" if row.doubts else None),
            ("scheduled as", message),
        ]
    )


def _attempt(attempt: Attempt) -> Iterator[str]:
    yield f"Attempt {attempt.number}"
    took = f"{attempt.duration.total_seconds():.3f} s"
    answer = " ".join(filter(None, (str(attempt.status or ""), attempt.code)))
    yield from _facts(
        [
            ("started", f"{moment(attempt.started_at)}, took {took}"),
            ("outcome", attempt.outcome),
            ("because", attempt.reason),
            ("answer", answer),
            ("request id", attempt.request_id),
        ]
    )
    if attempt.payload is not None:
        yield from _indented(pretty(attempt.payload))


def _moment(one: Attempt | KeptReport) -> datetime:
    """Say when something was, by the bridge's own clock."""
    return one.started_at if isinstance(one, Attempt) else one.received_at


def _report(report: KeptReport) -> Iterator[str]:
    yield f"Report {report.event_name}"
    happened = report.occurred_at
    said = None if happened is None else f"{moment(happened)} by Iterable's clock"
    yield from _facts(
        [
            ("received", report.received_at),
            ("happened", said),
            ("says", report.news),
            ("because", report.reason),
            ("message id", report.message_id),
            ("found by", report.match),
            ("became by it", report.became),
        ]
    )


def _deed(deed: Deed) -> Iterator[str]:
    yield f"By hand: {deed.action}"
    yield from _facts(
        [
            ("done", f"{moment(deed.at)}, in the {deed.by}"),
            ("it was", deed.status),
            ("because", deed.reason),
        ]
    )


def _facts(facts: Sequence[tuple[str, object]]) -> Iterator[str]:
    """List what is known; what is not, is left out."""
    for name, value in facts:
        if value not in (None, ""):
            yield f"  {name:{_WIDTH}}  {text(value)}"


def _indented(body: str) -> Iterator[str]:
    for line in body.split("\n"):
        yield f"    {line}"
