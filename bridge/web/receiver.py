"""The doors through which webhooks come in: prove, store, answer 202."""

import time
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request

from bridge import log as logs
from bridge import metrics
from bridge.capture import KEPT_HEADERS, kept_headers
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.intake import STORE_TIMEOUT, Intake, Pending
from bridge.model import ENDPOINTS, Capture
from bridge.server.exchange import WHOLE_AT
from bridge.web.answers import WEBHOOKS, Awaited, not_stored
from bridge.web.proof import Proof

log = logs.get(__name__)

#: Where the paths begin at which webhooks come in.
DOORS = ("/webhooks/voucherify", "/api/")
_MEDIA = ",".join(endpoint.removesuffix("/target") for endpoint in ENDPOINTS)

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


def doors(config: Config, intake: Intake) -> Blueprint:
    """Make the doors for webhooks."""
    signers, inbound = config.secrets.voucherify, config.secrets.inbound
    # With a secret configured, a webhook that is not signed is not Voucherify's.
    at_webhooks = Proof(signers, () if signers else inbound)
    # A distribution that posted to Iterable until today comes with Iterable's key.
    at_targets = Proof(signers, (*inbound, config.iterable.api_key))
    blueprint = Blueprint(WEBHOOKS, __name__)

    @blueprint.post("/webhooks/voucherify")
    def receive_webhook() -> Response:
        return _store(intake, _proven(at_webhooks))

    @blueprint.post(f"/api/<any({_MEDIA}):medium>/target")
    def receive_target(medium: str) -> Response:
        return _store(intake, _proven(at_targets, door=f"{medium}/target"))

    return blueprint


def _proven(proof: Proof, door: str | None = None) -> Capture:
    """Take the request, once its sender is proven.

    Raises:
        SignatureError: It is not.
    """
    # As WSGI has them: Flask's view of the headers costs more than the proof.
    body, given = request.get_data(), request.environ
    signature = given.get("HTTP_X_VOUCHERIFY_SIGNATURE")
    proof.demand(body, signature, given.get("HTTP_API_KEY"))
    found = {name: given[key] for name, key in _KEPT if key in given}
    return Capture(body=body, headers=kept_headers(found), door=door)


def _store(intake: Intake, capture: Capture) -> Response:
    """Begin to store a proven webhook; the answer says what became of it.

    Raises:
        StoreUnavailable: It is not stored.
    """
    now = time.monotonic()
    waited: float = now - request.environ.get(WHOLE_AT, now)
    if waited >= STORE_TIMEOUT:
        raise StoreUnavailable(f"the request waited {waited:.1f} s for a thread")
    pending = intake.begin(capture, timeout=STORE_TIMEOUT - waited)
    return Awaited(partial(_answer, pending, now - waited, g.request_id))


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
