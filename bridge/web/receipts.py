"""The endpoints delivery receipts are received at: verify, store, answer 202."""

from collections.abc import Sequence
from functools import partial

from flask import Blueprint, Response, g, request

from bridge.config import Config
from bridge.intake import STORE_TIMEOUT
from bridge.integrations import Receipts, make_receipts
from bridge.model import ReceiptResult
from bridge.receipts import HandledReceipt, ReceiptHandler, report
from bridge.web.answers import as_json
from bridge.web.bodies import BodyReader
from bridge.web.webhooks import request_of

#: A receipt repeats the fields of one message, about 12,000 characters.
MAX_BODY_BYTES = 256 * 1024


def readers(config: Config) -> list[Receipts]:
    """Make what reads the receipts of each destination that sends any.

    Where several destinations share a path, the first of them reads there.
    """
    found: dict[str, Receipts] = {}
    for one in make_receipts(config).values():
        found.setdefault(one.path, one)
    return list(found.values())


def blueprint(
    receipts: Sequence[Receipts], handler: ReceiptHandler, bodies: BodyReader
) -> Blueprint:
    """Make the views."""
    views = Blueprint("receipts", __name__)
    for one in receipts:
        view = partial(_receive, one, handler, bodies)
        name = one.path.strip("/").replace("/", "_")
        views.add_url_rule(one.path, name, view, methods=["POST"])
    return views


def _receive(
    receipts: Receipts, handler: ReceiptHandler, bodies: BodyReader
) -> Response:
    with bodies.read(request.environ, MAX_BODY_BYTES) as body:
        receipts.verify(request_of(request.environ, body))
        g.is_authenticated = True
        receipt = receipts.read(body)
    if receipt is None:
        name = receipts.event_name(body)
        handled = HandledReceipt(result=ReceiptResult.IGNORED, event_name=name)
        report(handled)
    else:
        handled = handler.receive(receipt, STORE_TIMEOUT)
    content = {"status": handled.result.value, "delivery_id": handled.delivery_id}
    return as_json(content, 202)
