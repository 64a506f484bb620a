"""The console's door: one password, a signed cookie, and patience with guessers."""

import hashlib
import time
from collections import deque
from collections.abc import Callable
from hmac import compare_digest
from threading import Lock

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf import CSRFProtect, FlaskForm
from werkzeug.wrappers import Response as Answer
from wtforms import PasswordField
from wtforms.validators import InputRequired

from bridge import log as logs
from bridge.web.console.hiding import hide_again
from bridge.web.console.returning import own_page

log = logs.get(__name__)

#: Where the console is.
PATH = "/console"

#: Wrong passwords taken within the span, in each process; then nobody is asked.
GUESSES = 5
SPAN_SECONDS = 60.0
#: What stretches the password into the key of the cookies: the same in every process
#: and after every restart, and another one once the password is.
_STRETCH = {"salt": b"reward-bridge console", "n": 2**14, "r": 8, "p": 1}
_OPERATOR = "operator"
#: Seen by who is not in yet.
_OPEN = ("door.enter", "static")


class Operator(UserMixin):  # type: ignore[misc] # Flask-Login has no types
    """Whoever knows the password."""

    id = _OPERATOR


class Throttle:
    """Counts wrong passwords, and says when enough are enough.

    Args:
        clock: In seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: deque[float] = deque(maxlen=GUESSES)
        self._turn = Lock()

    def wait(self) -> int:
        """Tell for how many seconds nobody may try."""
        with self._turn:
            if len(self._wrong) < GUESSES:
                return 0
            left = self._wrong[0] + SPAN_SECONDS - self._clock()
            return max(0, int(left) + 1) if left > 0 else 0

    def count(self) -> None:
        """Count a wrong password."""
        with self._turn:
            self._wrong.append(self._clock())


class _Sessions(SecureCookieSessionInterface):
    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's
        """Keep the cookie off plain connections where this one came by TLS.

        The word of a proxy is enough: it can only make the cookie stricter.
        """
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return request.is_secure or forwarded.strip().lower() == "https"


class _Entry(FlaskForm):  # type: ignore[misc] # Flask-WTF has no types
    password = PasswordField(validators=[InputRequired()])


def install(app: Flask, password: str) -> None:
    """Put the door before every page of an application.

    Args:
        app: The console's.
        password: What opens it.
    """
    app.secret_key = hashlib.scrypt(password.encode(), **_STRETCH)  # type: ignore[arg-type]
    app.session_interface = _Sessions()
    CSRFProtect(app)
    manager = LoginManager(app)
    manager.session_protection = None  # addresses change behind a platform's router
    manager.user_loader(lambda name: Operator() if name == _OPERATOR else None)
    app.register_blueprint(_door(password))
    app.before_request(_demand_entry)


def _demand_entry() -> Answer | None:
    if current_user.is_authenticated or request.endpoint in _OPEN:
        return None
    asked = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("door.enter", next=asked))


def _door(password: str) -> Blueprint:
    blueprint = Blueprint("door", __name__, url_prefix=PATH)
    throttle = Throttle()

    @blueprint.route("/enter", methods=["GET", "POST"])
    def enter() -> Response | Answer | tuple[str, int] | str:
        form = _Entry()
        if not form.validate_on_submit():
            return render_template("enter.html", fault=None)
        wait = throttle.wait()
        if wait:
            log.warning("console.refused", reason="too many wrong passwords")
            fault = f"Too many wrong passwords. Try again in {wait} seconds."
            answer = current_app.make_response(
                (render_template("enter.html", fault=fault), 429)
            )
            answer.headers["Retry-After"] = str(wait)
            return answer
        if not _is_right(form.password.data, password):
            throttle.count()
            log.warning("console.refused", reason="wrong password")
            fault = "That is not the password."
            return render_template("enter.html", fault=fault), 401
        session.clear()
        session.permanent = True
        login_user(Operator())
        log.info("console.entered")
        return redirect(own_page(request.args.get("next", "")))

    @blueprint.post("/leave")
    def leave() -> Answer:
        logout_user()
        hide_again()
        session.clear()
        return redirect(url_for("door.enter"))

    return blueprint


def _is_right(given: str, password: str) -> bool:
    return compare_digest(given.encode("utf-8", "replace"), password.encode())
