"""Webhooks as they came: what they became, why, replayed after a fix, kept as files."""

from dataclasses import replace

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as Answer

from bridge import capture
from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.model import EventStatus
from bridge.steering.planning import Source
from bridge.steering.replaying import feed_one
from bridge.store import By
from bridge.web.console.door import PATH
from bridge.web.console.hiding import Veil, is_shown, personal_in
from bridge.web.console.wanted import PAGE, SPANS, wanted

log = logs.get(__name__)

#: What a replay may decide again: the others made deliveries, or stand for some.
REPLAYABLE = (EventStatus.PARKED, EventStatus.IGNORED)


def pages(bridge: Bridge) -> Blueprint:
    """Make the list of events and the page of one."""
    blueprint = Blueprint("events", __name__, url_prefix=PATH)
    ledger = bridge.store.ledger

    @blueprint.get("/events")
    def show() -> str:
        asked = wanted(request.args)
        page = asked.events(g.now, after=request.args.get("after"))
        rows = ledger.events(replace(page, limit=PAGE + 1))
        return render_template(
            "events.html",
            rows=rows[:PAGE],
            older=rows[PAGE - 1].id if len(rows) > PAGE else None,
            is_first=page.after is None,
            asked=asked,
            states=list(EventStatus),
            spans=list(SPANS),
            veil=Veil(lifted=is_shown()),
        )

    @blueprint.get("/events/<uuid:found>")
    def one(found: object) -> str:
        event = ledger.event(str(found)) or abort(404)
        values = personal_in(event.capture.body)
        return render_template(
            "webhook.html",
            event=event,
            made=ledger.deliveries_of(event.id),
            deeds=ledger.deeds_to(event.id),
            can_replay=event.status in REPLAYABLE and event.blanked_at is None,
            veil=Veil(values, lifted=is_shown()),
        )

    @blueprint.post("/events/<uuid:found>/replay")
    def replay(found: object) -> Answer:
        event = ledger.event(str(found)) or abort(404)
        if event.blanked_at is not None:
            return _not_kept(event.id)
        source = Source(where="", capture=event.capture, again=event.id)
        stored = feed_one(bridge, source, by=By.CONSOLE)
        log.info("console.replayed", event_id=event.id, status=stored.status.value)
        if stored.status is EventStatus.STORED:
            flash("Decided again: it made a delivery.", "good")
        else:
            flash(f"Decided again: it is {stored.status}.", "unsure")
        return redirect(url_for("events.one", found=event.id))

    @blueprint.post("/events/<uuid:found>/capture")
    def download(found: object) -> Response | Answer:
        event = ledger.event(str(found)) or abort(404)
        if event.blanked_at is not None:
            return _not_kept(event.id)
        log.info("console.captured", event_id=event.id)
        text = capture.dumps(event.capture, received_at=event.received_at)
        return Response(
            text + "\n",
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{event.id}.json"'},
        )

    return blueprint


def _not_kept(event_id: str) -> Answer:
    flash("What it held is no longer kept.", "bad")
    return redirect(url_for("events.one", found=event_id))
