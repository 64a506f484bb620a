"""Routes and their gates: pause, resume, and what Iterable says of them."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from bridge import checks
from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.errors import Problem
from bridge.model import Gate, GateState
from bridge.steering.gates import gate_named, pause, resume
from bridge.store import DESTINATION, By, gate_of
from bridge.web.console.door import PATH

log = logs.get(__name__)

_LONGEST = 500


def pages(bridge: Bridge) -> Blueprint:
    """Make the page of routes and its buttons."""
    blueprint = Blueprint("routes", __name__, url_prefix=PATH)

    @blueprint.get("/routes")
    def show() -> str:
        return _page(bridge)

    @blueprint.post("/routes/<name>/pause")
    def stop(name: str) -> Answer:
        gate = gate_named(bridge, name) or abort(404)
        reason = request.form.get("reason", "").strip()[:_LONGEST]
        if not reason:
            flash("Say why; it stands here until somebody resumes it.", "bad")
        else:
            pause(bridge, gate, reason, by=By.CONSOLE)
            log.info("console.paused", gate=gate)
            flash(f"{name} is paused. Its messages wait and do not age.", "unsure")
        return redirect(url_for("routes.show"))

    @blueprint.post("/routes/<name>/resume")
    def go_on(name: str) -> Answer:
        gate = gate_named(bridge, name) or abort(404)
        if resume(bridge, gate, by=By.CONSOLE):
            log.info("console.resumed", gate=gate)
            flash(f"{name} is open.", "good")
        return redirect(url_for("routes.show"))

    @blueprint.post("/routes/check")
    def ask() -> str:
        return _page(bridge, found=list(checks.online_problems(bridge.config)))

    return blueprint


def _page(bridge: Bridge, found: list[Problem] | None = None) -> str:
    with bridge.store.read() as tx:
        gates = bridge.store.gates.read(tx)
    ledger, routes = bridge.store.ledger, bridge.config.routes
    names = (DESTINATION, *(gate_of(route.name) for route in routes))
    return render_template(
        "routes.html",
        routes=routes,
        gates={name: gates.get(name) or _open(name) for name in names},
        deeds={name: ledger.deeds_at(name) for name in names},
        gate_of=gate_of,
        destination=DESTINATION,
        iterable=bridge.config.iterable,
        found=found,
        answered=_by_route(found),
    )


def _by_route(found: list[Problem] | None) -> dict[int, str]:
    """Read which route each problem is about: `routes.0.campaign_id`."""
    return {int(one.path.split(".")[1]): one.message for one in found or ()}


def _open(name: str) -> Gate:
    return Gate(
        name=name,
        state=GateState.OPEN,
        reason=None,
        closed_at=None,
        probe_at=None,
        next_slot_at=None,
        paused_until=None,
    )
