"""Deliveries: the list, its export, one delivery's history, and actions on it."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import StringIO
from itertools import islice
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

from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.errors import TransitionError
from bridge.model import Action, Delivery, DeliveryStatus, Trigger, sources
from bridge.operations import preview
from bridge.operations.bulk import every_delivery
from bridge.operations.history import history, summary
from bridge.operations.pause import circuits_holding, stopped_circuits
from bridge.privacy import Redactor, personal_values
from bridge.privacy.masking import values_of
from bridge.store import actions
from bridge.store import deliveries as rows_of
from bridge.web.console.auth import is_revealed
from bridge.web.console.filters import PAGE, SPANS, parse_filters, typed_reason

log = logs.get(__name__)

#: Rows of an export: it is held in memory until the browser has read it.
MAX_EXPORTED = 50_000
_HEAD = (
    *("id", "status", "route", "recipient", "customer_id", "code", "campaign"),
    *("attempts", "created_at", "updated_at", "reason"),
)
#: First characters that make a spreadsheet read a formula, full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
#: Statuses for which it is useful to see what would be sent now.
_UNSENT = (
    *(DeliveryStatus.PENDING, DeliveryStatus.HELD, DeliveryStatus.DEAD),
    *(DeliveryStatus.UNDELIVERED, DeliveryStatus.IN_DOUBT),
)
_RESOLUTIONS = {"sent": Trigger.RESOLVED_SENT, "drop": Trigger.RESOLVED_DROPPED}


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the list, the export, the page of a delivery and its buttons."""

    @blueprint.get("/deliveries")
    def deliveries() -> str:
        return _list(bridge)

    @blueprint.get("/deliveries.csv")
    def export() -> Response:
        return _export(bridge)

    @blueprint.get("/deliveries/<uuid:found>")
    def delivery(found: UUID) -> str:
        return _show(bridge, str(found))

    @blueprint.post("/deliveries/<uuid:found>/redeliver")
    def redeliver(found: UUID) -> BaseResponse:
        one, is_forced = str(found), request.form.get("force") == "yes"
        with bridge.store.write() as tx:
            done = actions.redeliver(tx, [one], actor="console", force=is_forced)
        if done:
            log.info("console.redelivered", delivery_id=one, is_forced=is_forced)
            flash("Queued again. A running worker sends it.", "good")
        else:
            why = "Its status does not allow that, or its webhook is no longer kept."
            flash(why, "bad")
        return redirect(url_for("console.delivery", found=one))

    @blueprint.post("/deliveries/<uuid:found>/resolve")
    def resolve(found: UUID) -> BaseResponse:
        _resolve(bridge, str(found))
        return redirect(url_for("console.delivery", found=found))


def redactor_of(rows: Iterable[Delivery]) -> Redactor:
    """Hide the codes and addresses of deliveries, in their reasons too."""
    values = (value for row in rows for value in values_of(row))
    return Redactor(values, revealed=is_revealed())


def _list(bridge: Bridge) -> str:
    filters = parse_filters(request.args)
    page = filters.deliveries(g.now, after=request.args.get("after"))
    with bridge.store.read() as tx:
        # One more than is shown tells whether there is an older page.
        rows = rows_of.list(tx, replace(page, limit=PAGE + 1))
    return render_template(
        "deliveries.html",
        rows=rows[:PAGE],
        older=rows[PAGE - 1].id if len(rows) > PAGE else None,
        is_first=page.after is None,
        filters=filters,
        routes=[route.name for route in bridge.config.routes],
        statuses=list(DeliveryStatus),
        spans=list(SPANS),
        max_exported=MAX_EXPORTED,
        redactor=redactor_of(rows),
    )


def _export(bridge: Bridge) -> Response:
    page = parse_filters(request.args).deliveries(g.now)
    with bridge.store.read() as tx:
        rows = every_delivery(tx, page)
        # Complete before the answer begins: a part would look like everything.
        lines = _csv(rows, revealed=is_revealed())
    with bridge.store.write() as tx:
        actions.record(tx, "console", Action.EXPORT, [])
    log.info("console.exported", is_masked=not is_revealed(), request_id=g.request_id)
    name = f"deliveries-{g.now:%Y%m%d-%H%M%S}.csv"
    return Response(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _csv(rows: Iterator[Delivery], *, revealed: bool) -> str:
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEAD)
    for row in islice(rows, MAX_EXPORTED):
        redactor = Redactor(values_of(row), revealed=revealed)
        cells = (
            *(row.id, row.status, row.route, redactor.person(row.recipient)),
            *(row.customer_id or "", redactor.code(row.code), row.campaign or ""),
            *(row.attempt_no, row.created_at.isoformat(), row.updated_at.isoformat()),
            redactor.text(row.reason),
        )
        writer.writerow([_safe(str(cell)) for cell in cells])
    return out.getvalue()


def _safe(cell: str) -> str:
    """Write a cell so that no spreadsheet reads a formula or a further cell in it."""
    cell = cell.replace(";", ",").replace("\n", " ").replace("\r", " ")
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell


def _show(bridge: Bridge, delivery_id: str) -> str:
    with bridge.store.read() as tx:
        detail = rows_of.detail(tx, delivery_id) or abort(404)
    row, capture = detail.delivery, detail.event.capture
    is_kept = detail.event.event.redacted_at is None
    holding = circuits_holding(row, stopped_circuits(bridge))
    can_redeliver = is_kept and row.status in sources(Trigger.REDELIVER)
    is_unsent = is_kept and row.status in _UNSENT
    # What is personal in a webhook is hidden in every part of its history.
    values = (*personal_values(capture.body), *values_of(row))
    redactor = Redactor(values, revealed=is_revealed())
    return render_template(
        "delivery.html",
        row=row,
        event=detail.event.event,
        summary=redactor.text(summary(row, holding)),
        steps=history(detail, redactor),
        holding=holding,
        route=bridge.config.route(row.route),
        preview=preview.of_stored(bridge, row, capture) if is_unsent else None,
        can_redeliver=can_redeliver,
        can_force=is_kept and row.status in sources(Trigger.REDELIVER_FORCED),
        can_resolve=row.status in sources(Trigger.RESOLVED_SENT),
        redactor=redactor,
    )


def _resolve(bridge: Bridge, delivery_id: str) -> None:
    reason = typed_reason()
    trigger = _RESOLUTIONS.get(request.form.get("how", "")) or abort(400)
    if not reason:
        flash("Say why in words; the audit log keeps it.", "bad")
        return
    try:
        with bridge.store.write() as tx:
            actions.resolve(tx, delivery_id, trigger, reason, actor="console")
    except TransitionError:
        flash("Its status no longer allows that.", "bad")
        return
    log.info("console.resolved", delivery_id=delivery_id, how=trigger.value)
    flash("Closed.", "good")
