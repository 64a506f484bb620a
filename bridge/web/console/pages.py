"""The blueprint: its views, headers, error pages, and what every page knows."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort, g, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, NotFound

from bridge import bootstrap
from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.errors import StoreUnavailable
from bridge.web.console import (
    bulk,
    deliveries,
    events,
    formatting,
    overview,
    routes,
    templates,
)
from bridge.web.console.auth import PATH, Auth, ConsoleSessions, is_revealed

log = logs.get(__name__)

#: What a browser may load and do: our own files, forms to ourselves, nothing else.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Flask-WTF checks it on posts over TLS.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_MAX_FORM = 512 * 1024
_NOT_FOUND = "There is no such page, or the ledger no longer has this entry."
#: In the order of the menu.
_MENU = (
    ("console.overview", "Overview"),
    ("console.deliveries", "Deliveries"),
    ("console.events", "Events"),
    ("console.receipts", "Receipts"),
    ("console.bulk", "Bulk"),
    ("console.templates", "Templates"),
    ("console.routes", "Routes"),
)


def install(app: Flask, bridge: Bridge) -> None:
    """Add the console to an application.

    Args:
        app: Its session and CSRF settings are the console's.
        bridge: With a console password.
    """
    app.config.update(
        SESSION_COOKIE_NAME="bridge_console",
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        WTF_CSRF_CHECK_DEFAULT=False,  # of the console's forms only
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    auth = Auth(bridge)
    app.session_interface = ConsoleSessions(auth.key)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    formatting.add_filters(app)
    app.jinja_env.globals |= {"menu": _MENU, "version": _version()}
    app.register_blueprint(_blueprint(bridge, auth, CSRFProtect(app)))


def _blueprint(bridge: Bridge, auth: Auth, csrf: CSRFProtect) -> Blueprint:
    blueprint = Blueprint(
        "console",
        __name__,
        url_prefix=PATH,
        static_folder="static",
        template_folder="templates",
    )

    @blueprint.before_request
    def prepare() -> None:
        # A proxy's rule for /console must not be passed by /%63onsole.
        if not request.environ.get("RAW_URI", PATH).startswith(PATH):
            abort(404)
        g.now = bootstrap.now()
        request.max_content_length = _MAX_FORM

    blueprint.before_request(auth.require_session)

    @blueprint.before_request
    def check_token() -> None:
        if request.method == "POST":
            csrf.protect()

    @blueprint.context_processor
    def known() -> dict[str, Any]:
        is_logged_in = auth.is_logged_in()
        return {"is_revealed": is_revealed(), "is_logged_in": is_logged_in}

    blueprint.after_request(_add_headers)
    auth.add_views(blueprint)
    for module in (overview, deliveries, events, bulk, templates, routes):
        module.add_views(blueprint, bridge)
    blueprint.add_url_rule("/<path:rest>", "unknown", lambda rest: abort(404, rest))
    _add_error_pages(blueprint)
    return blueprint


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "console.static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _version() -> str:
    """Name the state of the static files: browsers keep them for a year."""
    digest = sha256()
    for path in sorted(Path(__file__).with_name("static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _add_error_pages(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(CSRFError)
    def without_token(_: CSRFError) -> tuple[str, int]:
        log.warning("console.rejected", reason="form without its token")
        detail = "The form is older than your session. Open the page again."
        return _page(400, "That form cannot be accepted", detail)

    # By code, because the application has handlers for these that come first.
    @blueprint.errorhandler(400)
    @blueprint.errorhandler(404)
    @blueprint.errorhandler(405)
    @blueprint.errorhandler(413)
    @blueprint.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        status = error.code or 500
        detail = _NOT_FOUND if status == NotFound.code else error.description
        return _page(status, error.name, detail or "")

    @blueprint.errorhandler(StoreUnavailable)
    def no_store(error: StoreUnavailable) -> tuple[str, int]:
        log.error("store.unavailable", reason=error.reason)
        detail = "The ledger cannot be read or written now. Nothing was changed."
        return _page(503, "The ledger does not answer", detail)

    @blueprint.errorhandler(Exception)
    def own_error(error: Exception) -> tuple[str, int]:
        log.error("request.failed", exc_info=error, request_id=g.request_id)
        detail = f"The bridge failed; look for {g.request_id} in its log."
        return _page(500, "That failed", detail)


def _page(status: int, title: str, detail: str) -> tuple[str, int]:
    page = render_template("error.html", status=status, title=title, detail=detail)
    return page, status
