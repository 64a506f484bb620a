"""The door for Iterable's system webhooks: prove, keep, answer 202."""

from binascii import Error, a2b_base64
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hmac import compare_digest

from flask import Blueprint, Response, g, request

from bridge.config import Config
from bridge.confirm import Confirm, Told
from bridge.errors import SignatureError, StoreUnavailable
from bridge.web.answers import Awaited, as_json, not_stored
from bridge.web.waiting import time_left

#: A report repeats the fields of one message, about 12,000 characters.
MAX_BODY_BYTES = 256 * 1024
CHALLENGE = "Bearer"


def door(config: Config, confirm: Confirm) -> Blueprint:
    """Make the door for reports."""
    secrets = [secret.encode() for secret in config.secrets.iterable]
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/webhooks/iterable")
    def receive_report() -> Response:
        headers = request.headers
        demand(secrets, headers.get("Authorization"), headers.get("X-Bridge-Secret"))
        request.max_content_length = min(MAX_BODY_BYTES, config.receive.max_body_bytes)
        timeout = time_left(request.environ)
        finish = confirm.begin(request.get_data(), timeout)
        return Awaited(partial(_answer, finish, g.request_id))

    return blueprint


def _answer(finish: Callable[[], Told], request_id: str) -> Response:
    try:
        told = finish()
    except StoreUnavailable as error:
        return not_stored(error, request_id, is_webhook=False)
    content = {"status": told.became.value, "delivery_id": told.delivery_id}
    return as_json(content, 202)


def demand(
    secrets: Sequence[bytes], authorization: str | None, header: str | None
) -> None:
    """Let a request pass that knows one of the secrets.

    Args:
        secrets: None of them empty.
        authorization: `Authorization`, if it came; text as WSGI has it.
        header: `X-Bridge-Secret`, likewise.

    Raises:
        SignatureError: It does not, or there is no secret to know.
    """
    if not secrets:
        reason = "ITERABLE_WEBHOOK_SECRET is not set: this door takes nobody"
        raise SignatureError(reason, CHALLENGE)
    given = [*_shown_in(authorization or ""), *_bytes(header or "")]
    # Every pair is compared, so that the time tells nothing of which was right.
    matches = [compare_digest(one, secret) for one in given for secret in secrets]
    if not any(matches):
        reason = (
            "no secret that is known here; "
            "this door takes one in Authorization or X-Bridge-Secret"
        )
        raise SignatureError(reason, CHALLENGE)


def _shown_in(authorization: str) -> Iterator[bytes]:
    """Yield what may be the secret: behind any scheme, or the whole.

    Whoever writes user and password gets them sent in base64 (RFC 7617).
    """
    scheme, _, token = authorization.partition(" ")
    yield from _bytes(authorization)
    yield from _bytes(token)
    if scheme.lower() == "basic":
        try:
            pair = a2b_base64(token.strip(), strict_mode=True)
        except (Error, ValueError):
            return
        yield pair
        yield pair.partition(b":")[2]


def _bytes(text: str) -> Iterator[bytes]:
    given = text.strip().encode("latin-1", "replace")
    if given:
        yield given
