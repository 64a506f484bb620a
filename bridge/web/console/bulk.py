"""Redelivering and dropping by filter: plan, confirm, watch it go."""

import time
from typing import Any

from flask import (
    Blueprint,
    abort,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as Answer

from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.model import DeliveryStatus
from bridge.steering.bulk import LOOKED_AT, Prospect, plan
from bridge.store import Action, Bulk
from bridge.web.console.deliveries import veil_of
from bridge.web.console.door import PATH
from bridge.web.console.wanted import SPANS, wanted

log = logs.get(__name__)

#: Seconds of batches before an answer: long enough to get on, short enough to see it.
STRETCH = 0.5
_ACTIONS = {"redeliver": Action.REDELIVER, "drop": Action.DROP}
#: States from which a person may redeliver or drop.
_STATES = (DeliveryStatus.HELD, DeliveryStatus.DEAD, DeliveryStatus.UNDELIVERED)
_LONGEST = 500


def pages(bridge: Bridge) -> Blueprint:
    """Make the pages of runs."""
    blueprint = Blueprint("bulk", __name__, url_prefix=PATH)
    store = bridge.store

    @blueprint.get("/bulk")
    def show() -> str:
        return _planned(bridge)

    @blueprint.post("/bulk")
    def begin() -> Answer:
        return _begin(bridge)

    @blueprint.get("/bulk/<uuid:found>")
    def one(found: object) -> str:
        with store.read() as tx:
            run = store.ledger.bulk(tx, str(found)) or abort(404)
        return render_template("run.html", run=run)

    @blueprint.post("/bulk/<uuid:found>/step")
    def step(found: object) -> Answer:
        run = _go_on(bridge, str(found)) or abort(404)
        if run.ended_at is not None:
            log.info("console.bulk_ended", bulk_id=run.id, done=run.done)
        return redirect(url_for("bulk.one", found=found))

    @blueprint.post("/bulk/<uuid:found>/stop")
    def stop(found: object) -> Answer:
        with store.write() as tx:
            store.ledger.end_bulk(tx, str(found))
        return redirect(url_for("bulk.one", found=found))

    return blueprint


def _planned(bridge: Bridge) -> str:
    """Show the plan of what is asked for, and the last runs."""
    asked, action = wanted(request.args), _ACTIONS.get(request.args.get("action", ""))
    ledger = bridge.store.ledger
    with bridge.store.read() as tx:
        runs = ledger.bulks(tx)
    page = asked.deliveries(g.now)
    foreseen = None if action is None else plan(ledger, action, page, g.now)
    return render_template(
        "bulk.html",
        asked=asked,
        action=action or "",
        plan=foreseen,
        prospects=Prospect,
        looked_at=LOOKED_AT,
        runs=runs,
        routes=[route.name for route in bridge.config.routes],
        states=_STATES,
        spans=list(SPANS),
        veil=veil_of([] if foreseen is None else list(foreseen.sample)),
    )


def _begin(bridge: Bridge) -> Answer:
    """Write down a run that was confirmed; its page does it."""
    asked, name = wanted(request.form), request.form.get("action", "")
    action = _ACTIONS.get(name) or abort(400)
    reason = request.form.get("reason", "").strip()[:_LONGEST] or None
    if action is Action.DROP and reason is None:
        flash("Say in words why; it is kept with each of them.", "bad")
        fields: dict[str, Any] = asked.query(action=name)
        return redirect(url_for("bulk.show", **fields))
    page = asked.deliveries(g.now)
    ledger = bridge.store.ledger
    changes = plan(ledger, action, page, g.now).changes
    with bridge.store.write() as tx:
        run = ledger.begin_bulk(tx, action, page, changes, reason)
    log.info("console.bulk_begun", bulk_id=run, action=name)
    return redirect(url_for("bulk.one", found=run))


def _go_on(bridge: Bridge, found: str) -> Bulk | None:
    """Do some batches of a run."""
    until = time.monotonic() + STRETCH
    while True:
        with bridge.store.write() as tx:
            run = bridge.store.ledger.step_bulk(tx, found)
        if run is None or run.ended_at is not None or time.monotonic() > until:
            return run
