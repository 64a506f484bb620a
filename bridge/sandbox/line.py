"""One connection: HTTP/1.1 as far as a client of Iterable speaks it, and no further.

The standard library's HTTP server takes ten times as long for each request, which a
sink for load tests cannot afford.
"""

import socket
import struct
import time
from http import HTTPStatus
from itertools import count

from bridge.sandbox.answers import Answer
from bridge.sandbox.calls import Call

_PHRASES = {one.value: one.phrase for one in HTTPStatus}
_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024 * 1024
#: More would make the allocator map and unmap memory for each request.
_AT_ONCE = 64 * 1024
_REQUEST_ID = "iterable-request-id"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_numbers = count(1)


class UnreadableError(ValueError):
    """What came is no request the sandbox can read; the argument is the status."""


class Line:
    """One connection, its requests one after another.

    Args:
        connection: The accepted socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        #: Bytes received beyond the last request.
        self._left = b""
        #: Whether the client wants the connection closed after this request.
        self.is_last = False

    def read(self) -> Call | None:
        """Read the next request whole; None where the client has gone.

        Raises:
            UnreadableError: It is none, or too large.
        """
        while (end := self._left.find(b"\r\n\r\n")) < 0:
            if len(self._left) > _MAX_HEAD_BYTES:
                raise UnreadableError(431)
            if not self._more():
                return None
        first, *lines = self._left[:end].decode("latin-1").split("\r\n")
        self._left = self._left[end + 4 :]
        method, _, rest = first.partition(" ")
        target, _, version = rest.partition(" ")
        headers = {}
        for line in lines:
            name, _, text = line.partition(":")
            headers[name.lower()] = text.strip()
        if not version.startswith("HTTP/1."):
            raise UnreadableError(400)
        self.is_last = version == "HTTP/1.0" or headers.get("connection") == "close"
        body = self._body(headers)
        if body is None:
            return None
        path, _, query = target.partition("?")
        return Call(method=method, path=path, query=query, headers=headers, body=body)

    def _body(self, headers: dict[str, str]) -> bytes | None:
        if "transfer-encoding" in headers:
            raise UnreadableError(411)
        text = headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit()):
            raise UnreadableError(400)
        length = int(text)
        if length > _MAX_BODY_BYTES:
            raise UnreadableError(413)
        if len(self._left) < length and "expect" in headers:
            self._socket.sendall(_CONTINUE)
        chunks, have = [self._left], len(self._left)
        while have < length:
            chunk = self._socket.recv(_AT_ONCE)
            if not chunk:
                return None
            chunks.append(chunk)
            have += len(chunk)
        whole = b"".join(chunks)
        self._left = whole[length:]
        return whole[:length]

    def _more(self) -> bool:
        chunk = self._socket.recv(_AT_ONCE)
        self._left += chunk
        return bool(chunk)

    def send(self, answer: Answer, padding: int = 0) -> None:
        """Send an answer, with blanks behind its body if told so."""
        self._socket.sendall(_head(answer, padding) + answer.body + b" " * padding)

    def send_half(self, answer: Answer) -> None:
        """Send the head and half of the body, and cut the connection."""
        self._socket.sendall(_head(answer, 0) + answer.body[: len(answer.body) // 2])
        self.reset()

    def drip(
        self, answer: Answer, *, head: float, body: float, padding: int = 0
    ) -> bool:
        """Send an answer byte by byte; False where the client goes meanwhile.

        Args:
            answer: What to send.
            head: Seconds between the bytes of the head; 0 sends it at once.
            body: The same of the body.
            padding: Blanks behind the body.
        """
        parts = ((_head(answer, padding), head), (answer.body + b" " * padding, body))
        for part, seconds in parts:
            if seconds <= 0:
                self._socket.sendall(part)
                continue
            for index in range(len(part)):
                self._socket.sendall(part[index : index + 1])
                if not self.wait(seconds):
                    return False
        return True

    def wait(self, seconds: float) -> bool:
        """Let time pass; False as soon as the client, or the sandbox, goes."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._more():
                    return False
        except TimeoutError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(None)
        return True

    def reset(self) -> None:
        """Cut the connection as a crash does, with no word of farewell."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()


def _head(answer: Answer, padding: int) -> bytes:
    headers = answer.headers
    if _REQUEST_ID not in headers:
        number = f"5a0db0c5-0000-4000-8000-{next(_numbers):012x}"
        headers = {_REQUEST_ID: number, **headers}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return (
        f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, '')}\r\n"
        f"content-type: {answer.content_type}\r\n"
        f"content-length: {len(answer.body) + padding}\r\n"
        f"{lines}\r\n"
    ).encode("latin-1", "replace")
