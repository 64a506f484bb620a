"""Received webhooks: list, one event and its buttons; receipts that match nothing."""

from dataclasses import replace
from uuid import UUID

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
from werkzeug.wrappers import Response as BaseResponse

from bridge import captures
from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.model import Action, EventStatus, StoredEvent
from bridge.operations.replay import ReplayItem
from bridge.operations.replay import replay as replay_item
from bridge.privacy import Redactor, personal_values
from bridge.privacy.masking import values_of
from bridge.store import actions
from bridge.store import deliveries as deliveries_of
from bridge.store import events as rows_of
from bridge.store import receipts as receipts_of
from bridge.web.console.auth import is_revealed
from bridge.web.console.filters import PAGE, SPANS, parse_filters, typed_reason

log = logs.get(__name__)

#: What a replay may decide again; other events made deliveries, or repeat some.
REPLAYABLE = (EventStatus.PARKED, EventStatus.IGNORED)


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the list of events, the page of one, its buttons, and unmatched receipts."""

    @blueprint.get("/events")
    def events() -> str:
        return _list(bridge)

    @blueprint.get("/events/<uuid:found>")
    def event(found: UUID) -> str:
        return _show(bridge, str(found))

    @blueprint.get("/receipts")
    def receipts() -> str:
        with bridge.store.read() as tx:
            rows = receipts_of.newest(tx, PAGE, only_unmatched=True)
            count = receipts_of.count_unmatched(tx)
        return render_template("receipts.html", rows=rows, count=count)

    @blueprint.post("/events/<uuid:found>/replay")
    def replay(found: UUID) -> BaseResponse:
        _replay(bridge, _get(bridge, str(found)))
        return redirect(url_for("console.event", found=found))

    @blueprint.post("/events/<uuid:found>/dismiss")
    def dismiss(found: UUID) -> BaseResponse:
        _dismiss(bridge, str(found))
        return redirect(url_for("console.event", found=found))

    @blueprint.post("/events/<uuid:found>/capture")
    def download(found: UUID) -> BaseResponse:
        return _download(bridge, _get(bridge, str(found)))


def _list(bridge: Bridge) -> str:
    filters = parse_filters(request.args)
    page = filters.events(g.now, after=request.args.get("after"))
    with bridge.store.read() as tx:
        rows = rows_of.list(tx, replace(page, limit=PAGE + 1))
    return render_template(
        "events.html",
        rows=rows[:PAGE],
        older=rows[PAGE - 1].id if len(rows) > PAGE else None,
        is_first=page.after is None,
        filters=filters,
        statuses=list(EventStatus),
        spans=list(SPANS),
        redactor=Redactor(revealed=is_revealed()),
    )


def _get(bridge: Bridge, event_id: str) -> StoredEvent:
    with bridge.store.read() as tx:
        return rows_of.get(tx, event_id) or abort(404)


def _show(bridge: Bridge, event_id: str) -> str:
    stored = _get(bridge, event_id)
    event = stored.event
    with bridge.store.read() as tx:
        made = deliveries_of.of_event(tx, event_id)
        audit = actions.of_target(tx, event_id)
    values = [*personal_values(stored.capture.body)]
    values += [value for row in made for value in values_of(row)]
    is_kept = event.redacted_at is None
    return render_template(
        "event.html",
        event=event,
        capture=stored.capture,
        made=made,
        audit=audit,
        can_replay=event.status in REPLAYABLE and is_kept,
        can_dismiss=event.status is EventStatus.PARKED,
        redactor=Redactor(values, revealed=is_revealed()),
    )


def _replay(bridge: Bridge, stored: StoredEvent) -> None:
    event = stored.event
    if event.redacted_at is not None or event.status not in REPLAYABLE:
        flash("It cannot be decided again: only parked and ignored events can.", "bad")
        return
    item = ReplayItem(where="", capture=stored.capture, event_id=event.id)
    result = replay_item(bridge, item, actor="console")
    log.info("console.replayed", event_id=event.id, status=result.status.value)
    if result.status is EventStatus.STORED:
        flash("Tried again: it made a delivery.", "good")
    else:
        why = f": {result.reason}" if result.reason else ""
        flash(f"Tried again: still {result.status}{why}.", "unsure")


def _dismiss(bridge: Bridge, event_id: str) -> None:
    reason = typed_reason()
    with bridge.store.write() as tx:
        done = bool(reason) and rows_of.dismiss(tx, event_id, "console", reason)
    if done:
        flash("Dismissed.", "good")
    else:
        flash("Only parked events can be dismissed, and with a reason.", "bad")


def _download(bridge: Bridge, stored: StoredEvent) -> BaseResponse:
    event = stored.event
    if event.redacted_at is not None:
        flash("The body is no longer kept.", "bad")
        return redirect(url_for("console.event", found=event.id))
    with bridge.store.write() as tx:
        actions.record(tx, "console", Action.EXPORT, [(event.id, None)])
    log.info("console.event_exported", event_id=event.id)
    return Response(
        captures.dumps(stored.capture, received_at=event.received_at) + "\n",
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{event.id}.json"'},
    )
