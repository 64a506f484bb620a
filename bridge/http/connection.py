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
import threading
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection

from bridge.errors import NoAnswerError, NotSentError

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


class Call(threading.local):
    """What the call of the current thread may still take.

    A call keeps to its thread, and urllib3 has no way to hand this to a connection.
    """

    deadline: float = math.inf
    max_idle: float = math.inf

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: None are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left


#: The call of the current thread.
current = Call()


class _TimedReader(io.RawIOBase):
    """A socket's incoming bytes; each wait is cut to what the call has left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(current.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer whose headers and body share the call's one deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    """A connection that keeps the call's deadline and knows what it has written."""

    response_class = _TimedResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._used_at = 0.0
        #: Pieces of the request being put together, None outside `request`.
        self._pieces: list[bytes] | None = None
        self._written = 0

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

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write the request in one go; headers and body make one packet if small."""
        self._written, self._pieces = 0, []
        try:
            super().request(*args, **kwargs)
            data = b"".join(self._pieces)
        finally:
            self._pieces = None
        if self.sock is None:
            self.connect()
        try:
            self._write(memoryview(data))
        except OSError as error:
            if not self._written:
                raise NotSentError(reason(error)) from error
            # An answer may have come before the request was through (413): urllib3
            # goes on to read it after these two errors.
            if isinstance(error, BrokenPipeError | ConnectionResetError):
                raise
            raise NoAnswerError(reason(error)) from error

    def send(self, data: Any) -> None:
        """Collect what `request` writes at its end."""
        if self._pieces is None:
            super().send(data)
        else:
            self._pieces.append(data)

    def _write(self, data: memoryview) -> None:
        self._used_at = time.monotonic()
        while self._written < len(data):
            self.sock.settimeout(current.left())
            self._written += self.sock.send(data[self._written :])


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class Pool(HTTPConnectionPool):
    """Kept connections to one host."""

    ConnectionCls = _Connection


class SecurePool(HTTPSConnectionPool):
    """Kept TLS connections to one host."""

    ConnectionCls = _SecureConnection


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
