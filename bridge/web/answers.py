"""What all answers have in common: a request id, and problems as RFC 9457 has them."""

import json
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from bridge import log as logs
from bridge import upstream
from bridge.errors import SignatureError, StoreUnavailable
from bridge.web.outages import Outages

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logs.get(__name__)

#: What may stand in a header, a log line and the ledger as it came.
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
#: Header of the request's id.
REQUEST_ID = "X-Request-Id"
#: Seconds after which a sender whose webhook was not stored may come again.
RETRY_AFTER = 10
#: Blueprint of the doors for webhooks.
WEBHOOKS = "receiver"
_outages = Outages()
#: As much of a stranger's text as a log line needs.
_SHOWN = 100


def install(app: Flask) -> None:
    """Give an application its request ids and its error answers."""
    name_requests(app)
    # It would tell of a fault in words of its own, without the request's id.
    app.logger.disabled = True
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(SignatureError, _not_authentic)
    app.register_error_handler(StoreUnavailable, _not_available)


def name_requests(app: Flask) -> None:
    """Give every request of an application an id, and tell it in the answer."""
    app.before_request(_name_request)
    app.after_request(_tell_name)


class Awaited(Response):
    """A 202 whose content is known only when the server asks for it.

    A server may therefore begin several requests before it waits for the first.

    Args:
        finish: Returns the content, or another answer in its place; outside the
            request, so it takes along what it needs.
    """

    def __init__(self, finish: Callable[[], Mapping[str, Any] | Response]) -> None:
        super().__init__(status=202, content_type="application/json")
        self._finish = finish

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Wait, then answer under the request id that this answer was given."""
        found = self._finish()
        if isinstance(found, Response):
            found.headers[REQUEST_ID] = self.headers[REQUEST_ID]
            yield from found(environ, start_response)
        else:
            # As werkzeug would, without what it looks up for other kinds of answers.
            content = json.dumps(found).encode()
            self.headers["Content-Length"] = str(len(content))
            start_response(self.status, self.headers.to_wsgi_list())
            yield content


def as_json(content: Mapping[str, Any], status: int = 200) -> Response:
    """Answer with a JSON object."""
    return Response(json.dumps(content), status, content_type="application/json")


def problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with what is wrong.

    References:
        https://www.rfc-editor.org/rfc/rfc9457
    """
    content = json.dumps({"title": title, "status": status, "detail": detail})
    return Response(content, status, headers, content_type="application/problem+json")


def name_of(environ: "WSGIEnvironment") -> str:
    """Return the request id the sender gave if it is fit to be kept, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _SANE_ID.fullmatch(given) else secrets.token_hex(16)


def _name_request() -> None:
    g.request_id = name_of(request.environ)


def _tell_name(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.request_id
    return response


def _http_problem(error: HTTPException) -> Response:
    """Say what Flask found, and keep what belongs to it: `Allow` beside a 405."""
    headers = {
        name: value
        for name, value in error.get_headers(request.environ)
        if name != "Content-Type"
    }
    status = error.code or 500
    if isinstance(error, InternalServerError):
        fault = error.original_exception
        log.error("request.failed", exc_info=fault, request_id=g.request_id)
        _count(status)
    else:
        _log_refusal(logging.INFO, status, error.name)
    return problem(status, error.name, error.description or "", headers)


def _not_authentic(error: SignatureError) -> Response:
    _log_refusal(logging.WARNING, 401, error.reason)
    # A 401 must name a way to prove oneself (RFC 9110, section 11.6.1).
    headers = {"WWW-Authenticate": error.challenge}
    return problem(401, "Unauthorized", error.reason, headers)


def _log_refusal(level: int, status: int, reason: str) -> None:
    log.log(
        level,
        "request.refused",
        status=status,
        reason=reason,
        method=request.method[:_SHOWN],
        path=request.path[:_SHOWN],
        request_id=g.request_id,
    )
    _count(status)


def _count(status: int) -> None:
    upstream.refused(status, is_webhook=request.blueprint == WEBHOOKS)


def _not_available(error: StoreUnavailable) -> Response:
    is_webhook = request.blueprint == WEBHOOKS
    return not_stored(error, g.request_id, is_webhook=is_webhook)


def not_stored(
    error: StoreUnavailable, request_id: str, *, is_webhook: bool = True
) -> Response:
    """Have the sender come again."""
    _outages.note(error.reason, request_id)
    upstream.refused(503, is_webhook=is_webhook)
    headers = {"Retry-After": str(RETRY_AFTER)}
    detail = "nothing was stored; send it again"
    return problem(503, "Service Unavailable", detail, headers)
