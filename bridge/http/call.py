"""The call itself: what goes in, what comes out, and its limits."""

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connectionpool import ConnectionPool
from urllib3.response import BaseHTTPResponse

from bridge.errors import NoAnswerError, NotSentError
from bridge.http.answer import Answer
from bridge.http.begun import Begun
from bridge.http.connection import FAILURES, reason
from bridge.http.limits import Limits, current
from bridge.http.pool import Pool, SecurePool

MEBIBYTE = 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=5)
#: A connection idle for longer is not used again: the other side may be closing it
#: at this very moment, which would leave the outcome of the next call unknown.
MAX_IDLE = timedelta(seconds=10)
#: A header's name (RFC 9110, 5.1); what passes here is written as it is.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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


class Http:
    """A pool of kept connections and the limits of every call through it.

    Safe to share between threads; make it after the fork. The environment's proxy and
    certificate settings are not looked at.

    Args:
        timeout: The whole call, from looking up the name to the last byte.
        connect_timeout: Until connection and TLS are up.
        max_reply_bytes: The most that is read of an answer's body.
        pool: How many connections to one host are kept.
        max_idle: How long an idle one is good for.
        ca_bundle: File of trusted certificates; those of `certifi` by default.
    """

    def __init__(
        self,
        timeout: timedelta,
        *,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
        max_reply_bytes: int = MEBIBYTE,
        pool: int = 16,
        max_idle: timedelta = MAX_IDLE,
        ca_bundle: str = DEFAULT_CA_BUNDLE_PATH,
    ) -> None:
        self._seconds = timeout.total_seconds()
        self._timeouts = (
            min(connect_timeout.total_seconds(), self._seconds),
            self._seconds,
        )
        self._max_reply_bytes = max_reply_bytes
        self._max_idle = max_idle.total_seconds()
        self._adapter = _Adapter(pool, ca_bundle)

    def call(self, request: requests.PreparedRequest) -> Reply:
        """Make one call; a redirect is an answer like any other.

        Raises:
            NotSentError: Nothing was written.
            NoAnswerError: Something was written, and no whole answer came in time.
        """
        current.keep_to(self._limits())
        with _translated():
            response = self._adapter.send(request, stream=True, timeout=self._timeouts)
            return self._reply(response.raw)

    def begin(self, request: requests.PreparedRequest) -> Begun | None:
        """Begin a call without waiting for anything.

        Returns:
            The call, for `finish`. None where that needs waiting, for a connection at
            the least; nothing was written then.
        """
        current.keep_to(self._limits())
        return self._adapter.begin(request)

    def finish(self, begun: Begun) -> Reply:
        """Wait for the rest of a call.

        Raises:
            NotSentError: Nothing was written.
            NoAnswerError: Something was written, and no whole answer came in time.
        """
        with _translated():
            return self._reply(begun.take())

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _limits(self) -> Limits:
        deadline = time.monotonic() + self._seconds
        return Limits(deadline, self._max_idle, self._max_reply_bytes + 1)

    def _reply(self, raw: Answer | BaseHTTPResponse) -> Reply:
        """Take the body up to the limit."""
        limit = self._max_reply_bytes
        body = raw.read(limit + 1, decode_content=False)
        headers = {name.lower(): value for name, value in raw.headers.items()}
        if "retry-after" in headers and "date" not in headers:
            headers["date"] = formatdate(usegmt=True)
        return Reply(
            status=raw.status,
            headers=headers,
            body=body[:limit],
            is_truncated=len(body) > limit,
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the errors of requests, urllib3 and sockets into our two."""
    try:
        yield
    except requests.exceptions.InvalidURL as error:
        raise NotSentError("the URL is not usable") from error
    except (requests.RequestException, *FAILURES) as error:
        raise NoAnswerError(reason(error)) from error


def prepare(
    method: str, url: str, headers: Mapping[str, str]
) -> requests.PreparedRequest:
    """Prepare a request without a body, as a template for `with_body` or as it is.

    Raises:
        ValueError: The URL or a header cannot be sent; the message names neither.
    """
    is_plain = all(
        value.isascii() and value.isprintable() for value in headers.values()
    )
    if not is_plain or not all(map(_NAME.fullmatch, headers)):
        raise ValueError("a header has characters that cannot be sent")
    asked = {"Accept-Encoding": "identity", **headers}
    try:
        prepared = requests.Request(method, url, headers=asked).prepare()
    except (requests.RequestException, UnicodeError):
        # Without a cause: its message would show the header, and so the key.
        raise ValueError("the URL or a header cannot be sent") from None
    # The connection knows the length of what it writes.
    prepared.headers.pop("Content-Length", None)
    return prepared


def with_body(
    template: requests.PreparedRequest, body: bytes
) -> requests.PreparedRequest:
    """Make a request of a prepared one and a body; the headers stay shared."""
    request = requests.PreparedRequest()
    request.method, request.url = template.method, template.url
    request.headers, request.hooks = template.headers, template.hooks
    request.body = body
    return request


class _Response(requests.Response):
    """What an adapter must return, without the cookie jar that nobody looks into."""

    def __init__(self, request: requests.PreparedRequest, answer: Answer) -> None:
        self.request, self.raw = request, answer
        self.status_code = answer.status


class _Adapter(HTTPAdapter):
    """The pool, without what a caller of few hosts and no cookies need not pay for.

    What is left out (proxies, cookies, certificates and URLs looked at anew for each
    call) costs as much as the call itself.
    """

    def __init__(self, pool: int, ca_bundle: str) -> None:
        # One context for all connections: reading the certificates takes longer
        # than the handshake.
        self._context = ssl.create_default_context(cafile=ca_bundle)
        self._pools: dict[str, ConnectionPool] = {}
        super().__init__(pool_maxsize=pool)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools with connections of our own."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        """Find the host's pool."""
        url = request.url or ""
        origin = url[: url.find("/", len("https://"))]
        pool = self._pools.get(origin)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, *args, **kwargs)
            self._pools[origin] = pool
        return pool

    def begin(self, request: requests.PreparedRequest) -> Begun | None:
        """Begin a call over a kept connection; None where none is ready."""
        try:
            pool: Any = self.get_connection_with_tls_context(request, verify=True)
        except requests.RequestException:
            return None  # `send` says what is wrong
        begun: Begun | None = pool.begin(
            request.method, request.path_url, request.headers, request.body
        )
        return begun

    def cert_verify(self, *_: Any) -> None:
        """Leave trust to the context."""

    def request_url(self, request: requests.PreparedRequest, _: Any) -> str:
        """Ask for the path; there is no proxy that needs more."""
        return request.path_url

    def build_response(
        self, req: requests.PreparedRequest, resp: Answer | BaseHTTPResponse
    ) -> requests.Response:
        """Wrap the answer; one of our own needs nothing that urllib3's would."""
        if isinstance(resp, Answer):
            return _Response(req, resp)
        return super().build_response(req, resp)

    def close(self) -> None:
        """Close the idle connections."""
        while self._pools:
            self._pools.popitem()[1].close()
        super().close()
