"""Login to the console: one password, sessions in the ledger, a limit on guessing."""

import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.model import Action
from bridge.store import actions, console_sessions

log = logs.get(__name__)

#: Where the console is.
PATH = "/console"
#: A session ends after so long, whatever happens in it.
SESSION_HOURS = 12
#: Wrong passwords accepted from one address within the span, in each process.
GUESSES = 5
SPAN_SECONDS = 60.0
#: Addresses remembered at once.
_MAX_ADDRESSES = 10_000
#: For so many seconds personal data is shown after somebody asked for it.
REVEALED_SECONDS = 15 * 60
_TOKEN, _REVEALED_UNTIL = "token", "revealed_until"
#: Reachable without a session.
_PUBLIC = ("console.login", "console.static")


class LoginThrottle:
    """Counts wrong passwords by address, so that one guesser locks out only itself.

    Args:
        clock: In seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Tell for how many seconds an address may not try."""
        times = self._wrong.get(address, deque())
        if len(times) < GUESSES:
            return 0
        left = times[0] + SPAN_SECONDS - self._clock()
        return max(0, int(left) + 1) if left > 0 else 0

    def count(self, address: str) -> None:
        """Count a wrong password."""
        times = self._wrong.setdefault(address, deque(maxlen=GUESSES))
        times.append(self._clock())
        self._wrong.move_to_end(address)
        if len(self._wrong) > _MAX_ADDRESSES:
            self._wrong.popitem(last=False)


class ConsoleSessions(SecureCookieSessionInterface):
    """Signs the console's cookie with the installation's key; no cookie elsewhere.

    Args:
        key: Gives the key.
    """

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Make the signer of a console request; None for any other."""
        if not request.path.startswith(PATH):
            return None
        app.config["WTF_CSRF_SECRET_KEY"] = self._key()
        return URLSafeTimedSerializer(
            self._key(), salt=self.salt, serializer=self.serializer
        )

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's
        """Keep the cookie off plain connections where this request used TLS."""
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return request.is_secure or forwarded.strip().lower() == "https"


class Auth:
    """The console's login, its sessions, and the buttons that reveal personal data.

    Args:
        bridge: Has the password and the ledger.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._throttle = LoginThrottle()
        self._known_key: str | None = None

    def key(self) -> str:
        """Return the key that signs cookies, the same in every process."""
        if self._known_key is None:
            with self._bridge.store.read() as tx:
                self._known_key = console_sessions.signing_key(tx)
        if self._known_key is None:
            with self._bridge.store.write() as tx:
                self._known_key = console_sessions.make_signing_key(tx)
        return self._known_key

    def is_logged_in(self) -> bool:
        """Tell whether the request belongs to a session in force."""
        if "is_logged_in" not in g:
            token = session.get(_TOKEN)
            g.is_logged_in = token is not None and self._is_valid(token)
        return bool(g.is_logged_in)

    def require_session(self) -> BaseResponse | None:
        """Send everybody else to the login page."""
        if request.endpoint in _PUBLIC or self.is_logged_in():
            return None
        wanted = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("console.login", next=wanted))

    def add_views(self, blueprint: Blueprint) -> None:
        """Add login, logout and the two buttons for personal data."""

        @blueprint.route("/login", methods=["GET", "POST"])
        def login() -> Response | BaseResponse | tuple[str, int] | str:
            if request.method == "GET":
                return render_template("login.html", problem=None)
            return self._log_in(request.form.get("password", ""))

        @blueprint.post("/logout")
        def logout() -> BaseResponse:
            with self._bridge.store.write() as tx:
                console_sessions.end(tx, session[_TOKEN])
            session.clear()
            return redirect(url_for("console.login"))

        @blueprint.post("/reveal")
        def reveal() -> BaseResponse:
            session[_REVEALED_UNTIL] = int(time.time()) + REVEALED_SECONDS
            with self._bridge.store.write() as tx:
                actions.record(tx, "console", Action.REVEAL, [])
            log.info("console.revealed", request_id=g.request_id)
            return redirect(safe_redirect(request.form.get("back", "")))

        @blueprint.post("/conceal")
        def conceal() -> BaseResponse:
            session.pop(_REVEALED_UNTIL, None)
            return redirect(safe_redirect(request.form.get("back", "")))

    def _log_in(self, given: str) -> Response | BaseResponse | tuple[str, int]:
        address = request.remote_addr or ""
        wait = self._throttle.wait(address)
        if wait:
            log.warning("console.rejected", reason="too many wrong passwords")
            problem = f"Too many wrong passwords. Try again in {wait} seconds."
            page = render_template("login.html", problem=problem)
            answer = current_app.make_response((page, 429))
            answer.headers["Retry-After"] = str(wait)
            return answer
        expected = self._bridge.config.console_password.encode()
        if not hmac.compare_digest(given.encode("utf-8", "replace"), expected):
            self._throttle.count(address)
            log.warning("console.rejected", reason="wrong password")
            problem = "This password is wrong."
            return render_template("login.html", problem=problem), 401
        session.clear()
        with self._bridge.store.write() as tx:
            ends_at = tx.now + timedelta(hours=SESSION_HOURS)
            session[_TOKEN] = console_sessions.begin(tx, self._fingerprint(), ends_at)
        log.info("console.login")
        return redirect(safe_redirect(request.args.get("next", "")))

    def _is_valid(self, token: str) -> bool:
        with self._bridge.store.read() as tx:
            return console_sessions.is_valid(tx, token, self._fingerprint())

    def _fingerprint(self) -> str:
        password = self._bridge.config.console_password.encode()
        return hmac.digest(self.key().encode(), password, sha256).hex()


def is_revealed() -> bool:
    """Tell whether this session asked for personal data a short while ago."""
    return bool(session.get(_REVEALED_UNTIL, 0) > time.time())


def safe_redirect(wanted: str) -> str:
    """Return an address that came with a request if it is the console's.

    Returns:
        The address, else that of the overview.
    """
    home = url_for("console.overview")
    # Browsers read `\` as `/` and leave line ends out; a header cannot hold these.
    is_own = wanted.startswith(home) and "\\" not in wanted and wanted.isprintable()
    return wanted if is_own else home
