"""One client's socket, with what came in and what must still go out; never blocks."""

import json
import socket
import time
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from bridge.server.framing import Inbox
from bridge.server.refusal import Refusal

#: Most bytes taken from one client before the others have their turn.
PIECE = 65_536


class Phase(StrEnum):
    """What a connection is doing."""

    NEW = "new"  #: just accepted
    IDLE = "idle"  #: between requests; no byte of the next one is here
    READING = "reading"  #: a request has begun
    HANDLING = "handling"  #: a whole one is with a thread, or queues for one
    WRITING = "writing"  #: the client has not taken the whole answer yet
    LINGERING = "lingering"  #: answered for good; what still comes is thrown away


class Outbox:
    """What gunicorn's response writer takes for a socket: it keeps the answer.

    A client that reads slowly then costs memory and never a thread, and head and body
    of an answer leave in one packet.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        #: When the request was whole (monotonic).
        self.whole_at = 0.0

    def __len__(self) -> int:
        """Count the bytes that have not gone."""
        return len(self._data)

    def sendall(self, data: bytes) -> None:
        """Keep a piece of the answer."""
        self._data += data

    def clear(self) -> None:
        """Forget the answer."""
        self._data.clear()

    def flush(self, target: socket.socket) -> None:
        """Send as much as the kernel takes without waiting.

        Raises:
            OSError: The client is gone.
        """
        try:
            while self._data:
                sent = target.send(self._data)
                del self._data[:sent]
        except BlockingIOError:
            return


class Connection:
    """One client.

    Args:
        client_socket: Accepted; closed with the connection.
        client: The peer's address.
        server: The address it connected to.
        inbox: Empty.
    """

    # `sock`, `client` and `server` are the names gunicorn's `handle_request` reads.
    def __init__(
        self, client_socket: socket.socket, client: Any, server: Any, inbox: Inbox
    ) -> None:
        client_socket.setblocking(False)
        self.socket = client_socket
        self.client = client
        self.server = server
        self.inbox = inbox
        self.sock = Outbox()
        #: The request a thread handles.
        self.request: Any = None
        #: Length of its body.
        self.body_bytes = 0
        self.phase = Phase.NEW
        #: When the phase has lasted too long (monotonic).
        self.deadline = 0.0
        #: Selector events it is registered for.
        self.watched = 0
        #: False once the answer on its way is the last.
        self.keeps = True
        #: Whether the client has sent all it will ever send.
        self.has_ended = False

    @property
    def held(self) -> int:
        """Bytes of requests in memory."""
        return len(self.inbox) + (0 if self.request is None else self.body_bytes)

    def begin(self, request: Any) -> None:
        """Note that a whole request goes to a thread."""
        self.request = request
        self.body_bytes = request.body.getbuffer().nbytes
        self.phase = Phase.HANDLING
        self.sock.whole_at = time.monotonic()

    def receive(self) -> None:
        """Take what has come, at most one piece.

        Raises:
            OSError: The client is gone.
        """
        try:
            data = self.socket.recv(PIECE)
        except BlockingIOError:
            return
        if data and self.phase is not Phase.LINGERING:
            self.inbox.feed(data)
        self.has_ended = not data

    def flush(self) -> None:
        """Send what goes without waiting.

        Raises:
            OSError: The client is gone.
        """
        self.sock.flush(self.socket)

    def hang_up(self) -> None:
        """Say that nothing more will come; what is on its way still arrives.

        Raises:
            OSError: The client is gone.
        """
        self.socket.shutdown(socket.SHUT_WR)


def answer_to(refusal: Refusal, request_id: str) -> bytes:
    """Write a refusal as a whole response, the last of its connection.

    References:
        https://www.rfc-editor.org/rfc/rfc9457
    """
    title = HTTPStatus(refusal.status).phrase
    body = json.dumps(
        {"title": title, "status": refusal.status, "detail": refusal.detail}
    ).encode()
    head = [
        f"HTTP/1.1 {refusal.status} {title}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        f"X-Request-Id: {request_id}",
    ]
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        head.append("Retry-After: 10")
    return "\r\n".join([*head, "", ""]).encode("ascii") + body
