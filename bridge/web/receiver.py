"""The doors through which webhooks come in: prove, store, answer 202."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request

from bridge import log as logs
from bridge import metrics
from bridge.capture import KEPT_HEADERS, LONGEST_HEADER
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.intake import STORE_TIMEOUT, Intake, Pending
from bridge.model import ENDPOINTS, Capture
from bridge.web.answers import WEBHOOKS, Awaited, not_stored
from bridge.web.proof import Proof
from bridge.web.waiting import time_left

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logs.get(__name__)

#: Where the paths begin at which webhooks come in.
DOORS = ("/webhooks/voucherify", "/api/")

#: The headers that are kept, each with its WSGI key.
_KEPT = tuple(
    (
        name,
        "CONTENT_TYPE"
        if name == "content-type"
        else "HTTP_" + name.upper().replace("-", "_"),
    )
    for name in sorted(KEPT_HEADERS)
)


@dataclass(frozen=True, slots=True)
class Door:
    """One way in.

    Args:
        name: As `Capture.door` has it.
        proof: What it asks of those who come.
        intake: Where it leads.
    """

    name: str | None
    proof: Proof
    intake: Intake

    def receive(
        self, body: bytes, environ: "WSGIEnvironment", request_id: str
    ) -> Awaited:
        """Begin to store a webhook whose sender is proven.

        Returns:
            The answer that says what became of it.

        Raises:
            SignatureError: The sender is not proven.
            StoreUnavailable: It is not stored.
        """
        # As WSGI has them: Flask's view of the headers costs more than the proof.
        signature = environ.get("HTTP_X_VOUCHERIFY_SIGNATURE")
        self.proof.demand(body, signature, environ.get("HTTP_API_KEY"))
        timeout = time_left(environ)
        until = time.monotonic() + timeout
        headers = {
            name: environ[key][:LONGEST_HEADER] for name, key in _KEPT if key in environ
        }
        capture = Capture(body=body, headers=headers, door=self.name)
        pending = self.intake.begin(capture, timeout=timeout)
        return Awaited(partial(_answer, pending, until - STORE_TIMEOUT, request_id))


def doors(config: Config, intake: Intake) -> dict[str, Door]:
    """Make the doors for webhooks, by path."""
    signers, inbound = config.secrets.voucherify, config.secrets.inbound
    # With a secret configured, a webhook that is not signed is not Voucherify's.
    at_webhooks = Proof(signers, () if signers else inbound)
    # A distribution that posted to Iterable until today comes with Iterable's key.
    at_targets = Proof(signers, (*inbound, config.iterable.api_key))
    targets = {f"/api/{name}": Door(name, at_targets, intake) for name in ENDPOINTS}
    return {"/webhooks/voucherify": Door(None, at_webhooks, intake), **targets}


def views(doors: Mapping[str, Door]) -> Blueprint:
    """Have Flask open the doors."""
    blueprint = Blueprint(WEBHOOKS, __name__)
    for path, door in doors.items():
        view = partial(_receive, door)
        blueprint.add_url_rule(path, path.replace("/", "_"), view, methods=["POST"])
    return blueprint


def _receive(door: Door) -> Response:
    return door.receive(request.get_data(), request.environ, g.request_id)


def _answer(
    pending: Pending, whole_at: float, request_id: str
) -> dict[str, Any] | Response:
    try:
        stored = pending.wait()
    except StoreUnavailable as error:
        return not_stored(error, request_id)
    metrics.stored(stored.status, time.monotonic() - whole_at)
    content = {
        "event_id": stored.event_id,
        "status": stored.status.value,
        "deliveries": list(stored.deliveries),
    }
    log.info("event.received", **content, reason=stored.reason, request_id=request_id)
    for delivery_id in stored.held:
        why = "its person has had what per_customer allows"
        log.warning("delivery.held", delivery_id=delivery_id, reason=why)
    return content
