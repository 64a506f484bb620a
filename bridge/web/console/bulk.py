"""Redelivering and dropping by filter: a plan, a confirmation, a job to watch."""

from typing import Any
from uuid import UUID

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
from werkzeug.wrappers import Response as BaseResponse

from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.model import Action, DeliveryStatus
from bridge.operations.bulk import LOOKED_AT, BulkOutcome, plan_filter
from bridge.store import jobs
from bridge.web.console.deliveries import redactor_of
from bridge.web.console.filters import SPANS, parse_filters, typed_reason

log = logs.get(__name__)

_ACTIONS = {"redeliver": Action.REDELIVER, "drop": Action.DROP}
#: Statuses from which a person may redeliver or drop.
_STATUSES = (DeliveryStatus.HELD, DeliveryStatus.DEAD, DeliveryStatus.UNDELIVERED)


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the plan, the list of jobs, and the page of one."""

    @blueprint.get("/bulk")
    def bulk() -> str:
        return _plan(bridge)

    @blueprint.post("/bulk")
    def start_job() -> BaseResponse:
        return _start(bridge)

    @blueprint.get("/bulk/<uuid:found>")
    def job(found: UUID) -> str:
        with bridge.store.read() as tx:
            one = jobs.find(tx, str(found)) or abort(404)
        return render_template("job.html", job=one)

    @blueprint.post("/bulk/<uuid:found>/cancel")
    def cancel_job(found: UUID) -> BaseResponse:
        with bridge.store.write() as tx:
            jobs.cancel(tx, str(found))
        return redirect(url_for("console.job", found=found))


def _plan(bridge: Bridge) -> str:
    """Show the plan of what is asked for, and the last jobs."""
    filters, action = parse_filters(request.args), request.args.get("action", "")
    known, plan = _ACTIONS.get(action), None
    with bridge.store.read() as tx:
        newest = jobs.newest(tx)
        if known is not None:
            plan = plan_filter(tx, known, filters.deliveries(g.now), g.now)
    return render_template(
        "bulk.html",
        filters=filters,
        action="" if known is None else action,
        plan=plan,
        outcomes=BulkOutcome,
        looked_at=LOOKED_AT,
        jobs=newest,
        routes=[route.name for route in bridge.config.routes],
        statuses=_STATUSES,
        spans=list(SPANS),
        redactor=redactor_of([] if plan is None else plan.sample),
    )


def _start(bridge: Bridge) -> BaseResponse:
    """Create a job that was confirmed; a delivering process works on it."""
    filters, name = parse_filters(request.form), request.form.get("action", "")
    action = _ACTIONS.get(name) or abort(400)
    reason = typed_reason() or None
    if action is Action.DROP and reason is None:
        flash("Say why in words; the audit log keeps it.", "bad")
        fields: dict[str, Any] = filters.query(action=name)
        return redirect(url_for("console.bulk", **fields))
    wanted = filters.deliveries(g.now)
    with bridge.store.write() as tx:
        planned = plan_filter(tx, action, wanted, g.now).changes
        job_id = jobs.create(
            tx, action, wanted, actor="console", planned=planned, reason=reason
        )
    log.info("console.job_started", job_id=job_id, action=name)
    return redirect(url_for("console.job", found=job_id))
