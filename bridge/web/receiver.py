"""The doors through which webhooks come in: prove, store, answer 202."""

from flask import Blueprint, Response, g, request

from bridge import log as logs
from bridge.capture import KEPT_HEADERS, kept_headers
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.intake import STORE_TIMEOUT, Intake
from bridge.model import ENDPOINTS, Capture
from bridge.server.worker import WAITED
from bridge.web.answers import as_json
from bridge.web.proof import Proof

log = logs.get(__name__)

_MEDIA = ",".join(endpoint.removesuffix("/target") for endpoint in ENDPOINTS)


def doors(config: Config, intake: Intake) -> Blueprint:
    """Make the doors for webhooks."""
    signers, inbound = config.secrets.voucherify, config.secrets.inbound
    # With a secret configured, a webhook that is not signed is not Voucherify's.
    at_webhooks = Proof(signers, () if signers else inbound)
    # A distribution that posted to Iterable until today comes with Iterable's key.
    at_targets = Proof(signers, (*inbound, config.iterable.api_key))
    blueprint = Blueprint("receiver", __name__)

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
    body, headers = request.get_data(), request.headers
    proof.demand(body, headers.get("X-Voucherify-Signature"), headers.get("Api-Key"))
    # Few are kept: asking for these is cheaper than walking over all.
    found = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    return Capture(body=body, headers=kept_headers(found), door=door)


def _store(intake: Intake, capture: Capture) -> Response:
    """Store a proven webhook and say what became of it.

    Raises:
        StoreUnavailable: It is not stored.
    """
    waited: float = request.environ.get(WAITED, 0.0)
    if waited >= STORE_TIMEOUT:
        raise StoreUnavailable(f"the request waited {waited:.1f} s for a thread")
    stored = intake.receive(capture, timeout=STORE_TIMEOUT - waited)
    content = {
        "event_id": stored.event_id,
        "status": stored.status.value,
        "deliveries": list(stored.deliveries),
    }
    log.info("event.received", **content, reason=stored.reason, request_id=g.request_id)
    return as_json(content, 202)
