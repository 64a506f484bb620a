"""How values look on a page, and what every page has."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Flask, g, redirect, request
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as Answer

from bridge.model import DeliveryStatus, EventStatus, GateState
from bridge.web.console import hiding
from bridge.web.console.door import PATH
from bridge.web.console.returning import own_page

#: Which of five colours a state has.
TONES: Mapping[str, str] = {
    DeliveryStatus.PENDING: "waiting",
    DeliveryStatus.SENDING: "waiting",
    DeliveryStatus.IN_DOUBT: "unsure",
    DeliveryStatus.HELD: "unsure",
    DeliveryStatus.ACCEPTED: "good",
    DeliveryStatus.CONFIRMED: "good",
    DeliveryStatus.UNDELIVERED: "bad",
    DeliveryStatus.DEAD: "bad",
    DeliveryStatus.SUPPRESSED: "quiet",
    DeliveryStatus.DROPPED: "quiet",
    EventStatus.STORED: "good",
    EventStatus.PARKED: "unsure",
    EventStatus.IGNORED: "quiet",
    EventStatus.DUPLICATE: "quiet",
    GateState.OPEN: "good",
    GateState.CLOSED: "bad",
    GateState.PROBING: "unsure",
    GateState.PAUSED: "unsure",
}
#: What a state means, for whoever points at it.
MEANINGS: Mapping[str, str] = {
    DeliveryStatus.PENDING: "waits for its time, its gate and a slot",
    DeliveryStatus.SENDING: "a worker has it",
    DeliveryStatus.IN_DOUBT: "sent perhaps; the outcome is unknown",
    DeliveryStatus.HELD: "waits for a person",
    DeliveryStatus.ACCEPTED: "Iterable took it",
    DeliveryStatus.CONFIRMED: "Iterable says it handed the message over",
    DeliveryStatus.UNDELIVERED: "Iterable says it did not hand the message over",
    DeliveryStatus.DEAD: "given up for good",
    DeliveryStatus.SUPPRESSED: "must not be sent",
    DeliveryStatus.DROPPED: "closed by hand, unsent",
    EventStatus.STORED: "made at least one delivery",
    EventStatus.PARKED: "cannot be used as it is",
    EventStatus.IGNORED: "no route wants it",
    EventStatus.DUPLICATE: "tells only what an earlier event told",
}
#: In the order of the menu.
_PAGES = (
    ("overview.show", "Overview"),
    ("deliveries.show", "Deliveries"),
    ("events.show", "Events"),
    ("bulk.show", "Bulk"),
    ("previews.all", "Templates"),
    ("routes.show", "Routes"),
)
_SECOND = timedelta(seconds=1)
#: Largest first.
_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (_SECOND, "s"),
)


def install(app: Flask, version: str) -> None:
    """Teach the templates of an application how to write values.

    Args:
        app: The console's.
        version: Of its static files.
    """
    app.jinja_env.filters |= {"moment": moment, "ago": ago, "took": took, "span": span}
    app.jinja_env.filters |= {"words": lambda text: str(text).replace("_", " ")}
    app.jinja_env.filters |= {"recognised": recognised}
    app.jinja_env.globals |= {"tones": TONES, "meanings": MEANINGS}

    @app.context_processor
    def known() -> dict[str, Any]:
        return {
            "version": version,
            "is_shown": hiding.is_shown(),
            "pages": [pair for pair in _PAGES if pair[0] in app.view_functions],
            "endpoints": app.view_functions,
            "token": _token,
        }


def _token() -> Markup:
    """Write the field that proves a form to be ours."""
    made = Markup('<input type="hidden" name="csrf_token" value="{}">')
    return made.format(generate_csrf())


def switches() -> Blueprint:
    """Make the two buttons that show and hide what is personal."""
    blueprint = Blueprint("switches", __name__, url_prefix=PATH)

    @blueprint.post("/show")
    def show() -> Answer:
        hiding.show_for_a_while()
        return back()

    @blueprint.post("/hide")
    def hide() -> Answer:
        hiding.hide_again()
        return back()

    return blueprint


def back() -> Answer:
    """Return to the page a button was on."""
    return redirect(own_page(request.form.get("back", "")))


def moment(value: datetime | None) -> Markup:
    """Write a time: UTC to the second, exact for programs."""
    if value is None:
        return Markup("-")
    exact, shown = value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S}"
    return _time(exact, f"{shown} UTC", shown)


def ago(value: datetime | None) -> Markup:
    """Write how long ago a time is, or how far ahead."""
    if value is None:
        return Markup("-")
    age = g.now - value
    if age > timedelta(days=7):
        text = f"{value:%d %b %Y}"
    elif age >= _SECOND:
        text = f"{span(age)} ago"
    else:
        text = "just now" if age > -_SECOND else f"in {span(-age)}"
    return _time(value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S} UTC", text)


def recognised(kind: str) -> str:
    """Name the kind of a webhook, or say that it is none that is known."""
    return "not recognised" if kind == "unknown" else kind.replace("_", " ")


def took(value: timedelta) -> str:
    """Write how long a call took."""
    seconds = value.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def span(value: timedelta | None) -> str:
    """Write a length of time in its largest unit."""
    if value is None:
        return "-"
    for unit, name in _UNITS:
        if value >= unit:
            return f"{value // unit} {name}"
    return "0 s"


def _time(exact: str, title: str, text: str) -> Markup:
    made = Markup('<time datetime="{}" title="{}">{}</time>')
    return made.format(exact, title, escape(text))
