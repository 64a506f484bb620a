"""Routes and destinations: their state, pause, resume, and what the vendor says."""

from collections.abc import Mapping, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from bridge import checks
from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.errors import Problem
from bridge.model import Circuit, destination_circuit, route_circuit
from bridge.operations.pause import circuit_named, pause, resume
from bridge.store import actions, circuits
from bridge.web.console.filters import typed_reason

log = logs.get(__name__)


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the page of routes and its buttons."""

    @blueprint.get("/routes")
    def routes() -> str:
        return _page(bridge)

    @blueprint.post("/routes/<name>/pause")
    def pause_route(name: str) -> BaseResponse:
        circuit = circuit_named(bridge.config, name) or abort(404)
        reason = typed_reason()
        if reason:
            pause(bridge, circuit, reason, actor="console")
            log.info("console.paused", circuit=circuit)
            flash(f"{name} is paused. Its deliveries wait and do not expire.", "unsure")
        else:
            flash("Say why in words; it is shown until somebody resumes.", "bad")
        return redirect(url_for("console.routes"))

    @blueprint.post("/routes/<name>/resume")
    def resume_route(name: str) -> BaseResponse:
        circuit = circuit_named(bridge.config, name) or abort(404)
        if resume(bridge, circuit, actor="console"):
            log.info("console.resumed", circuit=circuit)
            flash(f"{name} is running.", "good")
        return redirect(url_for("console.routes"))

    @blueprint.post("/routes/check")
    def check_routes() -> str:
        return _page(bridge, found=checks.ask(bridge.config, bridge.destinations))


def _page(bridge: Bridge, found: Sequence[Problem] | None = None) -> str:
    config = bridge.config
    used = dict.fromkeys(route.destination for route in config.routes)
    names = [*map(destination_circuit, used)]
    names += [route_circuit(route.name) for route in config.routes]
    with bridge.store.read() as tx:
        known = circuits.read_all(tx)
        audit = {name: actions.of_circuit(tx, name) for name in names}
    return render_template(
        "routes.html",
        routes=config.routes,
        destinations=[config.destinations[name] for name in used],
        circuits={name: known.get(name) or Circuit(name=name) for name in names},
        audit=audit,
        route_circuit=route_circuit,
        destination_circuit=destination_circuit,
        found=found,
        problems=_by_route(found),
    )


def _by_route(found: Sequence[Problem] | None) -> Mapping[int, str]:
    """Index problems by the route they are about (`routes.0.campaign_id`)."""
    return {
        int(words[1]): one.message
        for one in found or ()
        if (words := one.path.split("."))[0] == "routes"
    }
