"""One bounded HTTP call: a deadline for all of it, a size limit, no redirects.

It tells a call that was certainly not sent from one whose outcome is unknown, and
knows nothing of what is sent or what an answer means. The environment's proxy,
certificate and `.netrc` settings are never read.
"""

import re
import select
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from functools import cached_property, lru_cache
from http.client import HTTPException, HTTPResponse, IncompleteRead
from socket import gaierror
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from gevent import Timeout, monkey
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from bridge.errors import NoAnswerError, NotSentError

MAX_REPLY_BYTES = 65_536
CONNECT_TIMEOUT = timedelta(seconds=5)
#: A connection idle for longer is not used again: the other side may be closing it at
#: this very moment, which would leave the outcome of the next call unknown.
MAX_IDLE = timedelta(seconds=10)
USER_AGENT = "reward-bridge"
#: The name of a header (RFC 9110, 5.1).
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: gevent's own `poll` goes through its event loop, which costs as much as a send.
_poll = monkey.get_original("select", "poll")

#: What urllib3, http.client and sockets raise when a call fails.
_FAILURES = (HTTPError, OSError, HTTPException)
#: What is at the bottom of such an error, in plain words; the first that fits.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (gaierror, "the host's name cannot be resolved"),
    (UnicodeError, "the host's name cannot be resolved"),
    (ssl.SSLCertVerificationError, "the host's certificate is not trusted"),
    (ssl.SSLEOFError, "the connection broke off"),
    (ssl.SSLError, "TLS failed"),
    (Timeout, "it took too long"),
    (TimeoutError, "it took too long"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection broke off"),
    (IncompleteRead, "the answer broke off"),
    (HTTPException, "the answer is not HTTP"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    #: Lower-case names. Beside `retry-after` there is a `date`: the moment of receipt
    #: where the other side sent none (RFC 9110, 6.6.1).
    headers: Mapping[str, str]
    #: As sent, not decompressed; the first part of it where `is_truncated`.
    body: bytes
    #: True where the body exceeded the limit and the rest was not read.
    is_truncated: bool = False


def date_of(text: str) -> datetime | None:
    """Read a date as headers have it; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
        # "-0000" gives a naive one.
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class HttpClient:
    """Makes calls over kept connections; safe to share between greenlets and threads.

    The deadline of a whole call (name look-up and dripping replies included) is held by
    gevent, so it needs a monkey-patched process. Elsewhere each single wait for bytes
    is limited to the same time.

    Args:
        pool: How many connections to one host are kept.
        max_idle: How long an idle connection is used again.
        ca_bundle: File of trusted certificates; those of `certifi` by default.
    """

    def __init__(
        self,
        *,
        pool: int = 10,
        max_idle: timedelta = MAX_IDLE,
        ca_bundle: str = DEFAULT_CA_BUNDLE_PATH,
    ) -> None:
        self._pool = pool
        self._max_idle = max_idle.total_seconds()
        self._ca_bundle = ca_bundle

    @cached_property
    def _adapter(self) -> "_Adapter":
        # Made at the first call: most commands never make one.
        return _Adapter(self._pool, self._max_idle, self._ca_bundle)

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout: timedelta,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> Reply:
        """Make one call; a redirect is an answer like any other.

        Args:
            method: `GET`, `POST`, ….
            url: Absolute, with its query.
            headers: ASCII; `Accept-Encoding: identity` and a user agent are added.
            body: Sent as it is; None for no body.
            timeout: For the whole call, from the name look-up to the last byte.
            max_reply_bytes: The most that is kept of the answer's body.

        Raises:
            NotSentError: The request was not written, so it was not processed.
            NoAnswerError: Something was written and no whole answer came in time.
        """
        request = _request(method, url, headers, body)
        seconds = timeout.total_seconds()
        # A dead address leaves time for the host's next one.
        connect = min(CONNECT_TIMEOUT.total_seconds(), seconds / 2)
        try:
            with Timeout(seconds):
                response = self._adapter.send(
                    request, stream=True, timeout=(connect, seconds)
                )
                return _reply(response, max_reply_bytes)
        except requests.exceptions.InvalidURL as error:
            raise NotSentError("the URL is not usable") from error
        except (requests.RequestException, Timeout, *_FAILURES) as error:
            raise NoAnswerError(_reason(error)) from error

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()


def _reply(response: requests.Response, limit: int) -> Reply:
    """Read the body up to the limit; a connection with more on it is closed."""
    raw = response.raw
    body = b""
    try:
        # A short read is not the end: the next one says whether something is missing.
        while len(body) <= limit and (piece := raw.read(limit + 1 - len(body))):
            body += piece
    finally:
        raw.close()
    headers = {name.lower(): value for name, value in raw.headers.items()}
    if "retry-after" in headers and "date" not in headers:
        headers["date"] = formatdate(usegmt=True)
    return Reply(
        status=raw.status,
        headers=headers,
        body=body[:limit],
        is_truncated=len(body) > limit,
    )


def _request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> requests.PreparedRequest:
    """Make a request of a template that is prepared once for each method and URL."""
    template = _template(method, url, tuple(headers.items()))
    request = requests.PreparedRequest()
    request.method, request.url = template.method, template.url
    request.headers, request.hooks = template.headers, template.hooks
    if body is not None:
        request.body = body
        request.headers = template.headers.copy()
        request.headers["Content-Length"] = str(len(body))
    return request


@lru_cache(maxsize=64)
def _template(
    method: str, url: str, headers: tuple[tuple[str, str], ...]
) -> requests.PreparedRequest:
    """Prepare a request without a body; errors show no header, and so no key."""
    for name, value in headers:
        is_plain = value.isascii() and value.isprintable()
        if not is_plain or not _HEADER_NAME.fullmatch(name):
            raise NotSentError("a header has characters that cannot be sent")
    defaults = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    try:
        wanted = requests.Request(method, url, headers=defaults | dict(headers))
        prepared = wanted.prepare()
    except (requests.RequestException, UnicodeError):
        raise NotSentError("the URL or a header cannot be sent") from None
    if not url.startswith(("http://", "https://")):
        raise NotSentError("the URL is not usable")
    host = urlsplit(prepared.url or "").netloc.rpartition("@")[2]
    plain: Any = {"Host": host, **prepared.headers}  # copied faster than theirs
    prepared.headers = plain
    return prepared


class _ConnectionMixin(HTTPConnection):
    """Knows whether anything was written: what fails before that was not sent."""

    max_idle = MAX_IDLE.total_seconds()
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection can be used again."""
        if self.sock is None or time.monotonic() - self._used_at > self.max_idle:
            return False
        # Readable while idle: closed by the other side, or bytes of no answer.
        waiting = _poll()
        waiting.register(self.sock.fileno(), select.POLLIN)
        return not waiting.poll(0)

    def write(self, data: bytes, timeout: urllib3.Timeout) -> None:
        """Write a request, head and body together: one packet if it is small."""
        if self.sock is None:
            self.timeout = timeout.connect_timeout  # type: ignore[assignment]
            try:
                self.connect()
            except (Timeout, ValueError, *_FAILURES) as error:
                raise NotSentError(_reason(error)) from error
        self.sock.settimeout(timeout.read_timeout)
        try:
            # One call of the system: it takes a part, or fails and takes nothing.
            sent = self.sock.send(data)
        except (ConnectionError, ssl.SSLError) as error:
            # The other side ended a kept connection just now.
            raise NotSentError(_reason(error)) from error
        # An answer may have come before the rest is read.
        with suppress(ConnectionError):
            self.sock.sendall(memoryview(data)[sent:])
        self._used_at = time.monotonic()


class _Answer(HTTPResponse):
    """The standard library's answer; its connection is kept if it is read whole."""

    def __init__(
        self,
        connection: HTTPConnection,
        method: str,
        keep: Callable[[HTTPConnection], None],
    ) -> None:
        self._connection: HTTPConnection | None = connection
        self._keep = keep
        self._is_whole = False
        super().__init__(connection.sock, method=method)

    def read(self, amt: int | None = None) -> bytes:
        """Read the next bytes; none at the end of a whole answer.

        Raises:
            IncompleteRead: The connection ended before.
        """
        piece = super().read(amt)
        if not piece and self.length:
            raise IncompleteRead(piece, self.length)
        self._is_whole = not piece and not self.will_close
        return piece

    def close(self) -> None:
        """Keep the connection for the next request, or close it."""
        super().close()
        # Once: it may serve another request when this object is removed.
        connection, self._connection = self._connection, None
        if connection is not None and self._is_whole:
            self._keep(connection)
        elif connection is not None:
            connection.close()


class _PoolMixin(HTTPConnectionPool):
    """Sends a request as one piece and leaves the answer to the standard library.

    With urllib3's own way (retries, each header checked and written alone, the answer
    wrapped twice) a whole call takes 0.31 ms of CPU time; so it takes 0.16.
    """

    def urlopen(  # type: ignore[override] # what `HTTPAdapter.send` passes
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout,
        **_: Any,
    ) -> HTTPResponse:
        """Write the request and read the answer's head."""
        lines = [f"{method} {url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "\r\n"])
        connection: Any = self._get_conn()
        try:
            connection.write(head.encode("ascii") + (body or b""), timeout)
            answer = _Answer(connection, method, self._put_conn)
            answer.begin()
        except BaseException:
            connection.close()
            raise
        return answer


class _Adapter(HTTPAdapter):
    """The stock adapter, with these connections and one TLS context for all of them.

    Reading the trusted certificates takes longer than a handshake. What else is left
    out here (URLs parsed again, cookies) costs a third of a call.
    """

    def __init__(self, pool: int, max_idle: float, ca_bundle: str) -> None:
        self._context = ssl.create_default_context(cafile=ca_bundle)
        facts = {"max_idle": max_idle}
        plain = type("_Plain", (_ConnectionMixin,), facts)
        secure = type("_Secure", (_ConnectionMixin, HTTPSConnection), facts)
        self._classes = {
            "http": type("_Pool", (_PoolMixin,), {"ConnectionCls": plain}),
            "https": type(
                "_Pool", (_PoolMixin, HTTPSConnectionPool), {"ConnectionCls": secure}
            ),
        }
        #: By scheme and host.
        self._pools: dict[str, Any] = {}
        super().__init__(pool_maxsize=pool)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> Any:
        """Find the host's pool."""
        url = request.url or ""
        origin = url[: url.find("/", len("https://"))]
        if origin not in self._pools:
            self._pools[origin] = super().get_connection_with_tls_context(
                request, *args, **kwargs
            )
        return self._pools[origin]

    def request_url(self, request: requests.PreparedRequest, _: Any) -> str:
        """Ask for the path; there is no proxy that needs more."""
        return request.path_url

    def cert_verify(self, *_: Any) -> None:
        """Leave trust to the context."""

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """Wrap the answer without making and filling a cookie jar."""
        response = requests.Response.__new__(requests.Response)
        response.status_code, response.headers = resp.status, resp.headers
        response.raw, response.request = resp, req
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._pools.clear()
        super().close()


def _reason(error: BaseException) -> str:
    """Say in plain words what is at the bottom of an error; no host, no URL."""
    chain = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for kind, words in _REASONS:
        if any(isinstance(one, kind) for one in chain):
            return words
    return f"the call failed ({type(error).__name__})"
