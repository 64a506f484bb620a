"""A delivery's story as steps in the order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge import voucherify
from bridge.model import Attempt, DeliveryStatus, KeptReport
from bridge.steering.legible import moment
from bridge.store import Action, Deed, Story
from bridge.web.console.hiding import Veil
from bridge.web.console.showing import took

_DONE = {
    Action.REDELIVER: "Put back in the queue by hand",
    Action.RESOLVE_SENT: "Closed by hand as sent",
    Action.DROP: "Dropped by hand",
    Action.REPLAY: "Its webhook was replayed by hand",
}
_TONES = {"SUCCESS": "good", "SUCCESS_LIKE": "quiet", "RETRY": "waiting"}
_REPORTED = {
    DeliveryStatus.CONFIRMED: ("good", "Iterable confirmed it"),
    DeliveryStatus.UNDELIVERED: ("bad", "Iterable reported that it did not go out"),
}


_ENDS = tuple(status.value for status in _REPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened."""

    at: datetime
    title: str
    tone: str = "quiet"
    text: str = ""
    #: Names and values, in order.
    facts: Sequence[tuple[str, str]] = ()
    #: What can be unfolded: its name, its text.
    folded: Sequence[tuple[str, str]] = ()


def told(story: Story, veil: Veil) -> list[Step]:
    """Tell a story from the first step to the last, personal values hidden."""
    steps = [
        _received(story, veil),
        _found(story, veil),
        *(_attempted(one, veil) for one in story.attempts),
        *(_reported(one, veil) for one in story.reports),
        *(_done(one, veil) for one in story.deeds),
        *_ended(story, veil),
    ]
    # Stable: what happened at the same moment stays in the order of cause.
    return sorted(steps, key=lambda step: step.at)


def _received(story: Story, veil: Veil) -> Step:
    event, repeated = story.event, None
    is_kept = event.blanked_at is None
    if event.repeats and event.repeated_at is not None:
        repeated = f"{event.repeats} times, last {moment(event.repeated_at)}"
    headers = "\n".join(
        f"{name}: {veil.text(value)}" for name, value in event.capture.headers.items()
    )
    return Step(
        at=event.received_at,
        title="Webhook received",
        facts=_known(
            ("Event", event.event_type or event.kind),
            ("Door", event.door),
            ("Webhook id", event.transport_key),
            ("Repeated", repeated),
        ),
        text="" if is_kept else "What it held is no longer kept.",
        folded=(
            ("Headers", headers or "none were kept"),
            ("Body", veil.body(event.capture.body)),
        )
        if is_kept
        else (),
    )


def _found(story: Story, veil: Veil) -> Step:
    row = story.delivery
    parsed = voucherify.parse(story.event.capture)
    reward = voucherify.find_reward(parsed, row.key)
    facts = {} if reward is None else dict(reward.facts)
    facts.pop("name", None)
    expires = row.voucher_expires_at
    return Step(
        at=row.created_at,
        title="Reward found, delivery made",
        facts=_known(
            ("Code", veil.code(row.code)),
            ("Campaign", row.campaign),
            ("Customer", row.customer_id),
            ("Recipient", veil.text(row.recipient)),
            *((name.capitalize(), veil.text(str(one))) for name, one in facts.items()),
            ("Expires", None if expires is None else moment(expires)),
            ("Business key", row.key),
        ),
    )


def _attempted(attempt: Attempt, veil: Veil) -> Step:
    answer = " ".join(filter(None, (str(attempt.status or ""), attempt.code)))
    folded: tuple[tuple[str, str], ...] = ()
    if attempt.payload is not None:
        folded = (("Payload sent", veil.body(attempt.payload)),)
    return Step(
        at=attempt.started_at,
        title=f"Attempt {attempt.number}",
        tone=_TONES.get(attempt.outcome, "bad"),
        text=veil.text(attempt.reason),
        facts=_known(
            ("Answer", answer or "none"),
            ("Outcome", attempt.outcome.lower().replace("_", " ")),
            ("Took", took(attempt.duration)),
            ("Request id", attempt.request_id),
        ),
        folded=folded,
    )


def _reported(report: KeptReport, veil: Veil) -> Step:
    happened = report.occurred_at
    tone, title = "quiet", "Iterable reported on it"
    if report.became in _ENDS:
        tone, title = _REPORTED[DeliveryStatus(report.became)]
    return Step(
        at=report.received_at,
        title=title,
        tone=tone,
        text=veil.text(report.reason),
        facts=_known(
            ("Report", f"{report.event_name}, {report.news}"),
            ("Happened", None if happened is None else moment(happened)),
            ("Message id", report.message_id),
            ("Found by", report.match),
        ),
    )


def _done(deed: Deed, veil: Veil) -> Step:
    return Step(
        at=deed.at,
        title=_DONE.get(deed.action, deed.action.value),
        tone="hand",
        text=veil.text(deed.reason),
        facts=_known(("Where", f"in the {deed.by}"), ("It was", deed.status)),
    )


def _ended(story: Story, veil: Veil) -> Iterator[Step]:
    row = story.delivery
    reported = _REPORTED.get(row.status)
    if reported is not None and not story.reports:
        tone, title = reported
        yield Step(
            at=row.updated_at, title=title, tone=tone, text=veil.text(row.reason)
        )
    elif row.status is DeliveryStatus.HELD and not story.attempts:
        yield Step(
            at=row.updated_at,
            title="Held for a person",
            tone="unsure",
            text=veil.text(row.reason),
        )


def _known(*facts: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in facts if value)
