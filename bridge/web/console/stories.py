"""One delivery's story, and what a person may do to it."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.errors import TransitionError
from bridge.model import Cause, DeliveryStatus, sources
from bridge.steering.gates import holding, stopped_gates
from bridge.steering.previewing import again
from bridge.store import By, Story
from bridge.web.console.door import PATH
from bridge.web.console.hiding import Veil, is_shown, personal_in, personal_of
from bridge.web.console.timeline import told

log = logs.get(__name__)

#: States in which it is worth knowing what would be sent now.
_UNSENT = (
    *(DeliveryStatus.PENDING, DeliveryStatus.HELD, DeliveryStatus.DEAD),
    *(DeliveryStatus.UNDELIVERED, DeliveryStatus.IN_DOUBT),
)
_RESOLUTIONS = {"sent": Cause.RESOLVED_SENT, "drop": Cause.RESOLVED_DROPPED}


def pages(bridge: Bridge) -> Blueprint:
    """Make the page of a delivery and its buttons."""
    blueprint = Blueprint("stories", __name__, url_prefix=PATH)
    ledger = bridge.store.ledger

    @blueprint.get("/deliveries/<uuid:found>")
    def show(found: object) -> str:
        story = ledger.story(str(found)) or abort(404)
        row, is_kept = story.delivery, story.event.blanked_at is None
        is_unsent = is_kept and row.status in _UNSENT
        veil = veil_of(story)
        return render_template(
            "story.html",
            row=row,
            event=story.event,
            steps=told(story, veil),
            gates=holding(row, stopped_gates(bridge)),
            route=bridge.config.route(row.route),
            preview=again(bridge.config, story) if is_unsent else None,
            can_redeliver=is_kept and row.status in sources(Cause.REDELIVER),
            can_force=is_kept and row.status in sources(Cause.REDELIVER_FORCED),
            can_resolve=row.status in sources(Cause.RESOLVED_SENT),
            veil=veil,
        )

    @blueprint.post("/deliveries/<uuid:found>/redeliver")
    def redeliver(found: object) -> Answer:
        one, is_forced = str(found), request.form.get("force") == "yes"
        with bridge.store.write() as tx:
            done = ledger.redeliver(tx, [one], by=By.CONSOLE, force=is_forced)
        if done:
            log.info("console.redelivered", delivery_id=one, is_forced=is_forced)
            flash("Back in the queue. A running worker sends it.", "good")
        else:
            why = "Its state does not allow that, or its webhook is no longer kept."
            flash(why, "bad")
        return redirect(url_for("stories.show", found=one))

    @blueprint.post("/deliveries/<uuid:found>/resolve")
    def resolve(found: object) -> Answer:
        one, reason = str(found), request.form.get("reason", "").strip()[:500]
        cause = _RESOLUTIONS.get(request.form.get("how", "")) or abort(400)
        if not reason:
            flash("Say in words why; it is kept with the delivery.", "bad")
            return redirect(url_for("stories.show", found=one))
        try:
            with bridge.store.write() as tx:
                ledger.resolve(tx, one, cause, reason, by=By.CONSOLE)
            log.info("console.resolved", delivery_id=one, how=cause.value)
            flash("Closed by hand.", "good")
        except TransitionError:
            flash("Its state does not allow that any more.", "bad")
        return redirect(url_for("stories.show", found=one))

    return blueprint


def veil_of(story: Story) -> Veil:
    """Hide what is personal in a webhook wherever its story tells of it."""
    values = (*personal_in(story.event.capture.body), *personal_of(story.delivery))
    return Veil(values, lifted=is_shown())
