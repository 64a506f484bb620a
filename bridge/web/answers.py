"""What all answers share: a request id, error bodies, and the count of rejections.

Errors are RFC 9457 problems, or what the vendor of a compatible endpoint would answer.
Every answer other than 2xx to a POST below `PREFIXES` counts as a webhook failure:
Voucherify repeats such a webhook 12 times and then switches the webhook off.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from bridge import logging as logs
from bridge import metrics
from bridge.errors import SignatureError, StoreUnavailable
from bridge.integrations import InboundEndpoint

log = logs.get(__name__)

#: Paths below which only webhooks are posted.
PREFIXES = ("/webhooks/", "/api/", "/v1/", "/segmentio/")
REQUEST_ID = "X-Request-Id"
#: Seconds after which a webhook that was not stored may be sent again.
RETRY_AFTER = 10
#: Why a request was rejected, for the metrics; any other status is `malformed`.
REASONS = {
    401: "not_authentic",
    403: "not_authentic",
    404: "no_such_endpoint",
    405: "no_such_endpoint",
    408: "too_slow",
    413: "too_large",
    500: "fault",
    503: "unavailable",
}
#: Every how many failures in a row they are logged, and from when on less often.
LOG_EVERY, FLOOD_EVERY, VENDOR_GIVES_UP = 3, 100, 12

#: What may be shown in a header, a log line and the ledger as it was received.
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
#: As much of a stranger's text as a log line needs.
_SHOWN = 100
#: Statuses that a request which proved nothing can cause at will.
_BY_ANYBODY = frozenset({400, 401, 404, 405, 408, 411, 415})
_OUTAGE_EVERY = 10.0


def install(app: Flask) -> None:
    """Give an application its request ids and its error answers."""
    # It would log a fault in words of its own, without the request's id.
    app.logger.disabled = True
    app.before_request(_begin)
    app.after_request(_end)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SignatureError, _not_authentic)
    app.register_error_handler(StoreUnavailable, _not_stored)


def as_json(content: Mapping[str, Any], status: int = 200) -> Response:
    """Answer with a JSON object."""
    return Response(json.dumps(content), status, content_type="application/json")


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with what is wrong, in the shape of the endpoint that was asked.

    References:
        https://www.rfc-editor.org/rfc/rfc9457
    """
    g.reason = detail
    endpoint: InboundEndpoint | None = g.get("endpoint")
    if endpoint is not None and endpoint.failure is not None:
        answer = endpoint.failure(status, detail)
        response = as_json(answer.body, answer.status)
        response.headers.extend(headers or {})
        return response
    title = HTTPStatus(status).phrase
    content = json.dumps({"title": title, "status": status, "detail": detail})
    return Response(content, status, headers, content_type="application/problem+json")


def _begin() -> None:
    given = request.environ.get("HTTP_X_REQUEST_ID", "")
    sane = _SANE_ID.fullmatch(given)
    g.request_id = given if sane else secrets.token_hex(16)


def _end(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.request_id
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        _count_rejection(response.status_code)
    return response


def _http_error(error: HTTPException) -> Response:
    """Say what Flask found, and keep what belongs to it: `Allow` beside a 405."""
    status = error.code or 500
    if isinstance(error, InternalServerError):
        fault = error.original_exception
        log.error("request.failed", exc_info=fault, request_id=g.request_id)
        return problem(status, "a fault of the bridge; its log has the details")
    headers = {
        name: value
        for name, value in error.get_headers(request.environ)
        if name != "Content-Type"
    }
    return problem(status, error.description or error.name, headers)


def _not_authentic(error: SignatureError) -> Response:
    # A 401 must name a way to authenticate (RFC 9110, section 11.6.1).
    return problem(401, error.reason, {"WWW-Authenticate": error.challenge})


def _not_stored(error: StoreUnavailable) -> Response:
    _outages.note(error.reason)
    detail = "nothing was stored; send it again"
    return problem(503, detail, {"Retry-After": str(RETRY_AFTER)})


def _count_rejection(status: int) -> None:
    """Count and log a request that was not answered with 2xx."""
    if request.blueprint in ("status", "console"):
        return
    metrics.record_rejected(REASONS.get(status, "malformed"))
    is_quiet = status not in (401, 413)
    write = log.info if is_quiet else log.warning
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:  # those are logged where they arise
        write(
            "request.rejected",
            status=status,
            reason=g.get("reason"),
            method=request.method[:_SHOWN],
            path=request.path[:_SHOWN],
            request_id=g.request_id,
        )
    if request.method == "POST" and request.path.startswith(PREFIXES):
        _count_webhook_failure(status)


def _count_webhook_failure(status: int) -> None:
    is_authenticated: bool | None = g.get("is_authenticated")
    if is_authenticated is None and status in _BY_ANYBODY:
        is_authenticated = False
    failures = metrics.record_webhook_failure(is_authenticated=is_authenticated)
    # The same webhook will be too large, or have no endpoint, each time it is repeated.
    is_final = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (
        is_authenticated is True and status < HTTPStatus.INTERNAL_SERVER_ERROR
    )
    every = LOG_EVERY if failures <= VENDOR_GIVES_UP else FLOOD_EVERY
    if is_final or (failures and failures % every == 0):
        log.error(
            "webhook.failing",
            failures=failures,
            status=status,
            reason=g.get("reason"),
            path=request.path[:_SHOWN],
        )


class _Outages:
    """Logs an outage of the store every ten seconds, not for each request."""

    def __init__(self) -> None:
        self._count = 0
        self._next = 0.0

    def note(self, reason: str) -> None:
        """Count a request that was not stored, and log all since the last line."""
        self._count += 1
        now = time.monotonic()
        if now < self._next:
            return
        count, self._count, self._next = self._count, 0, now + _OUTAGE_EVERY
        log.error(
            "store.unavailable",
            reason=reason,
            rejected=count,
            request_id=g.get("request_id"),
        )


_outages = _Outages()
