"""Connections that keep one deadline for a whole call, and know what they wrote.

A timeout of urllib3 limits each wait for bytes, so that a peer which sends one byte at
a time holds a caller for ever. Here every wait is cut to what the whole call has left.
The name lookup alone cannot be cut short; nothing is sent if it outlasts the deadline.
"""

import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection

from bridge.errors import NoAnswerError, NotSentError
from bridge.http.answer import Answer, read
from bridge.http.limits import NOT_NOW, current

#: What urllib3, http.client and sockets raise when a call fails.
FAILURES = (HTTPError, OSError, http.client.HTTPException)
#: What is at the bottom of such an error, in plain words; the first that fits.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the host's name cannot be resolved"),
    (UnicodeError, "the host's name cannot be resolved"),
    (ssl.SSLCertVerificationError, "the host's certificate is not trusted"),
    (ssl.SSLEOFError, "the connection broke off"),
    (ssl.SSLError, "TLS failed"),
    (TimeoutError, "it took too long"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection broke off"),
    (http.client.IncompleteRead, "the answer broke off"),
    (http.client.HTTPException, "the answer is not HTTP"),
)


class _Incoming(io.RawIOBase):
    """A socket's incoming bytes; each wait is cut to what the call has left.

    Args:
        sock: Where they come from.
        came: Those that were taken from it already.
    """

    def __init__(self, sock: socket.socket, came: bytes) -> None:
        self._sock = sock
        self._came = came
        #: True once no more shall be taken from the socket.
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._came:
            size = min(len(buffer), len(self._came))
            buffer[:size], self._came = self._came[:size], self._came[size:]
            return size
        if self.is_over:
            return 0
        self._sock.settimeout(current.left())
        return self._sock.recv_into(buffer)


class PooledConnection(HTTPConnection):
    """A connection that keeps the call's deadline and knows what it has written.

    It writes and reads by itself, in one go: `http.client` takes a request to pieces
    that is complete already.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._used_at = 0.0
        self._last_head: tuple[tuple[str, str], bytes] = ("", ""), b""
        self._last_headers: Mapping[str, str] = {}
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == self.default_port
        self._authority = host if is_usual else f"{host}:{self.port}"

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection can be used again."""
        is_fresh = time.monotonic() - self._used_at < current.max_idle
        return is_fresh and super().is_connected

    def connect(self) -> None:
        """Connect, TLS included."""
        try:
            super().connect()
        except (*FAILURES, ValueError) as error:
            raise NotSentError(reason(error)) from error

    def _new_conn(self) -> socket.socket:
        """Try the host's addresses in turn, all of them within one connect timeout."""
        until = min(current.deadline, time.monotonic() + (self.timeout or math.inf))
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        error: OSError = TimeoutError("no time left to connect")
        for position, (*_, address) in enumerate(found, start=1):
            left = until - time.monotonic()
            if left <= 0:
                break
            # A dead address leaves time for the next one.
            wait = left if position == len(found) else left / 2
            try:
                sock = create_connection(
                    (str(address[0]), self.port),
                    wait,
                    socket_options=self.socket_options,
                )
            except OSError as failure:
                # Without its traceback, which would keep connection and pool alive.
                error = failure.with_traceback(None)
                continue
            # The TLS handshake is part of connecting.
            sock.settimeout(max(until - time.monotonic(), 0.001))
            return sock
        raise error

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Write a request and read the answer.

        Head and body make one packet if they are small.

        Args:
            method: `GET`, `POST`, ...
            path: With the query; as it shall be sent.
            headers: Checked by `prepare`; all but `Host`.
            body: None for no body.
        """
        request = self._request(method, path, headers, body)
        if self.sock is None:
            self.connect()
        self._used_at = time.monotonic()
        return self.end(method, request, 0, b"")

    def begin(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[memoryview, int]:
        """Write as much of a request as can be without waiting, once connected.

        Returns:
            The request, and how many bytes of it are written.

        Raises:
            OSError: None are.
        """
        request = self._request(method, path, headers, body)
        self._used_at = time.monotonic()
        if self.sock.gettimeout() != 0:
            self.sock.settimeout(0)
        try:
            return request, self.sock.send(request)
        except NOT_NOW:
            return request, 0

    def end(
        self, method: str, request: memoryview, written: int, came: bytes
    ) -> Answer:
        """Write the rest of a request and read the answer.

        Args:
            method: The request's.
            request: All of it.
            written: How much of that is written.
            came: How much of the answer is read.
        """
        is_written = self._write(request, written)
        incoming = _Incoming(self.sock, came)
        stream: io.BufferedReader = io.BufferedReader(incoming)
        answer = read(stream, method, current.room)
        incoming.is_over = True
        # Bytes that nobody asked for would be taken for the next answer.
        if not (is_written and answer.is_reusable) or stream.peek(1):
            self.close()
        return answer

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> memoryview:
        data = self._head(method, path, headers)
        if body is not None:
            data += b"Content-Length: %d\r\n" % len(body)
        return memoryview(data + b"\r\n" + (body or b""))

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """Write the head, but for its end; nearly always it is the last one again."""
        key, head = self._last_head
        if key == (method, path) and self._last_headers is headers:
            return head
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, ""]).encode("ascii")
        self._last_head, self._last_headers = ((method, path), head), headers
        return head

    def _write(self, request: memoryview, written: int) -> bool:
        """Write the rest; False where the other side stopped listening meanwhile."""
        try:
            while written < len(request):
                self.sock.settimeout(current.left())
                written += self.sock.send(request[written:])
        except OSError as error:
            if not written:
                raise NotSentError(reason(error)) from error
            # An answer may have come before the request was through (413).
            if isinstance(error, BrokenPipeError | ConnectionResetError):
                return False
            raise NoAnswerError(reason(error)) from error
        return True


class SecureConnection(PooledConnection, HTTPSConnection):
    """The same over TLS."""


def reason(error: BaseException) -> str:
    """Say in plain words what is at the bottom of an error; no host, no URL."""
    chain = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for kind, words in _WORDS:
        if any(isinstance(one, kind) for one in chain):
            return words
    return f"the call failed ({type(error).__name__})"
