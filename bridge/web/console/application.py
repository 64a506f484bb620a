"""The console as one Flask application."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, g, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound

from bridge import bootstrap
from bridge import log as logs
from bridge.bootstrap import Bridge
from bridge.errors import StoreUnavailable
from bridge.web import answers
from bridge.web.console import (
    bulk,
    deliveries,
    door,
    events,
    overview,
    previews,
    routes,
    showing,
    stories,
)

log = logs.get(__name__)

_HERE = Path(__file__).parent
#: What a browser may load and do: our own files, forms to ourselves, nothing else.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Flask-WTF looks at it on posts that come by TLS.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_MAX_FORM = 512 * 1024
_NOWHERE = (
    "There is no such page, or the ledger has no such delivery or event any more."
)


def create_console(bridge: Bridge) -> Flask:
    """Make the console; it holds nothing of its own beside the bridge."""
    app = Flask(
        # Not this module's name: Flask's logger, silent below, would be ours.
        "bridge.web.console",
        static_folder=str(_HERE / "static"),
        static_url_path=f"{door.PATH}/static",
        template_folder=str(_HERE / "templates"),
    )
    app.config.update(
        MAX_CONTENT_LENGTH=_MAX_FORM,
        MAX_FORM_MEMORY_SIZE=_MAX_FORM,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        SESSION_COOKIE_NAME="bridge_console",
        SESSION_COOKIE_PATH=door.PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    answers.name_requests(app)
    # It would tell of a fault in words of its own, without the request's id.
    app.logger.disabled = True
    app.before_request(_tell_time)
    app.after_request(_guard)
    door.install(app, bridge.config.secrets.console)
    showing.install(app, _version())
    for one in (overview, deliveries, stories, events, bulk, previews, routes):
        app.register_blueprint(one.pages(bridge))
    app.register_blueprint(showing.switches())
    app.register_error_handler(CSRFError, _without_token)
    app.register_error_handler(HTTPException, _http_fault)
    app.register_error_handler(InternalServerError, _own_fault)
    app.register_error_handler(StoreUnavailable, _no_store)
    return app


def _tell_time() -> None:
    g.now = bootstrap.now()


def _guard(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _version() -> str:
    """Name the state of the static files: they are kept for a year under a name."""
    digest = sha256()
    for path in sorted((_HERE / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _without_token(_: CSRFError) -> tuple[str, int]:
    log.warning("console.refused", reason="form without its token")
    detail = "The form was not ours, or older than your session. Open the page again."
    return _page(400, "That form cannot be taken", detail)


def _http_fault(error: HTTPException) -> tuple[str, int]:
    status = error.code or 500
    detail = _NOWHERE if status == NotFound.code else error.description
    return _page(status, error.name, detail or "")


def _own_fault(error: InternalServerError) -> tuple[str, int]:
    fault = error.original_exception
    log.error("request.failed", exc_info=fault, request_id=g.request_id)
    detail = f"The bridge failed; its log says where, under {g.request_id}."
    return _page(500, "That failed", detail)


def _no_store(error: StoreUnavailable) -> tuple[str, int]:
    log.error("store.unavailable", reason=error.reason, request_id=g.request_id)
    detail = "The ledger cannot be read or written now. Nothing was changed."
    return _page(503, "The ledger does not answer", detail)


def _page(status: int, title: str, detail: str) -> tuple[str, int]:
    page = render_template("fault.html", status=status, title=title, detail=detail)
    return page, status
