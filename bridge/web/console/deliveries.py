"""The list of deliveries: filters, search, pages, export."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from itertools import islice

from flask import Blueprint, Response, g, render_template, request

from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.model import DeliveryStatus
from bridge.steering.paging import every_delivery
from bridge.store import DeliveryRow
from bridge.web.console.door import PATH
from bridge.web.console.hiding import Veil, is_shown, personal_of
from bridge.web.console.wanted import PAGE, SPANS, wanted

log = logs.get(__name__)

#: Rows of an export: it is held in memory until the browser has taken it.
MOST_EXPORTED = 50_000
_HEAD = (
    *("id", "status", "route", "recipient", "customer_id", "code", "campaign"),
    *("attempts", "created_at", "updated_at", "reason"),
)
#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def pages(bridge: Bridge) -> Blueprint:
    """Make the list and its export."""
    blueprint = Blueprint("deliveries", __name__, url_prefix=PATH)
    routes = [route.name for route in bridge.config.routes]

    @blueprint.get("/deliveries")
    def show() -> str:
        asked = wanted(request.args)
        page = asked.deliveries(g.now, after=request.args.get("after"))
        # One more than is shown tells whether there is an older page.
        rows = bridge.store.ledger.deliveries(replace(page, limit=PAGE + 1))
        return render_template(
            "deliveries.html",
            rows=rows[:PAGE],
            older=rows[PAGE - 1].id if len(rows) > PAGE else None,
            is_first=page.after is None,
            asked=asked,
            routes=routes,
            states=list(DeliveryStatus),
            spans=list(SPANS),
            most=MOST_EXPORTED,
            veil=veil_of(rows),
        )

    @blueprint.get("/deliveries.csv")
    def export() -> Response:
        page = wanted(request.args).deliveries(g.now)
        rows = every_delivery(bridge.store.ledger, page)
        # Whole before the answer begins: a part would look like all there is.
        lines = "".join(_csv(rows, lifted=is_shown()))
        log.info("console.exported", is_masked=not is_shown(), request_id=g.request_id)
        name = f"deliveries-{g.now:%Y%m%d-%H%M%S}.csv"
        return Response(
            lines,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return blueprint


def veil_of(rows: list[DeliveryRow]) -> Veil:
    """Hide the codes and addresses of deliveries, in their reasons too."""
    values = (value for row in rows for value in personal_of(row))
    return Veil(values, lifted=is_shown())


def _csv(rows: Iterator[DeliveryRow], *, lifted: bool) -> Iterator[str]:
    yield _line(_HEAD)
    for row in islice(rows, MOST_EXPORTED):
        veil = Veil(personal_of(row), lifted=lifted)
        cells = (
            *(row.id, row.status, row.route, veil.text(row.recipient)),
            *(row.customer_id or "", veil.code(row.code), row.campaign or ""),
            *(row.number, row.created_at.isoformat(), row.updated_at.isoformat()),
            veil.text(row.reason),
        )
        yield _line([_harmless(str(cell)) for cell in cells])


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _line(cells: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
