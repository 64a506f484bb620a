"""How values look on a page: times, durations, statuses."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from flask import Flask, g
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup, escape

from bridge.model import DeliveryStatus, EventStatus
from bridge.text import printable

#: The colour of each status, and what it means: titles of badges, and the legend.
_STATUSES: Mapping[str, tuple[str, str]] = {
    DeliveryStatus.PENDING: (
        "waiting",
        "waits for its time, route and send slot",
    ),
    DeliveryStatus.SENDING: ("waiting", "a worker is sending it"),
    DeliveryStatus.IN_DOUBT: ("unsure", "may have been sent; the outcome is unknown"),
    DeliveryStatus.HELD: ("unsure", "waits for your decision"),
    DeliveryStatus.ACCEPTED: ("good", "the destination accepted it"),
    DeliveryStatus.CONFIRMED: ("good", "a receipt says it was sent"),
    DeliveryStatus.UNDELIVERED: ("bad", "a receipt says it was skipped or bounced"),
    DeliveryStatus.DEAD: ("bad", "given up"),
    DeliveryStatus.SUPPRESSED: ("quiet", "must not be sent"),
    DeliveryStatus.DROPPED: ("quiet", "closed by an operator, unsent"),
    EventStatus.STORED: ("good", "made at least one delivery"),
    EventStatus.PARKED: ("unsure", "cannot be used as it is"),
    EventStatus.IGNORED: ("quiet", "no route matches it"),
    EventStatus.DUPLICATE: ("quiet", "an earlier event brought the same messages"),
    "running": ("good", ""),
    "stopped": ("bad", ""),
    "probing": ("unsure", ""),
    "paused": ("unsure", ""),
}
_KINDS = {"unknown": "not recognised"}
_SECOND = timedelta(seconds=1)
#: Largest first.
_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (_SECOND, "s"),
)


def add_filters(app: Flask) -> None:
    """Add the filters and tables that the pages use."""
    app.jinja_env.filters |= {
        "time": format_time,
        "ago": time_ago,
        "duration": format_duration,
        "words": lambda text: str(text).replace("_", " "),
        "kind": lambda kind: _KINDS.get(kind, kind.replace("_", " ")),
        "printable": lambda text: printable(str(text)),
    }
    app.jinja_env.globals |= {
        "token": csrf_field,
        "tones": {status: tone for status, (tone, _) in _STATUSES.items()},
        "meanings": {status: meaning for status, (_, meaning) in _STATUSES.items()},
    }


def csrf_field() -> Markup:
    """Write the hidden field that proves a form to be ours."""
    made = Markup('<input type="hidden" name="csrf_token" value="{}">')
    return made.format(generate_csrf())


def format_time(value: datetime | None) -> Markup:
    """Write a time: UTC to the second, exact for programs."""
    return _time(value, "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}")


def time_ago(value: datetime | None) -> Markup:
    """Write how long ago a time is, or how far ahead."""
    if value is None:
        return Markup("-")
    age = g.now - value
    if age > timedelta(days=7):
        text = f"{value:%d %b %Y}"
    elif age >= _SECOND:
        text = f"{format_duration(age)} ago"
    else:
        text = "just now" if age > -_SECOND else f"in {format_duration(-age)}"
    return _time(value, text)


def format_duration(value: timedelta | None) -> str:
    """Write a length of time in its largest unit."""
    if value is None:
        return "-"
    for unit, name in _UNITS:
        if value >= unit:
            return f"{value // unit} {name}"
    return "0 s"


def _time(value: datetime | None, text: str) -> Markup:
    if value is None:
        return Markup("-")
    made = Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>')
    return made.format(value.isoformat(), value, escape(text))
