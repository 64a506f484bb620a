"""Everybody who is connected, and what each of them waits for; all in one loop.

Nothing here blocks, and nothing here is called by two threads at once.
"""

import secrets
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.config import Config

from bridge import log as logs
from bridge import upstream
from bridge.server.connection import Connection, Phase, answer_to
from bridge.server.framing import Inbox
from bridge.server.refusal import Refusal

log = logs.get(__name__)

#: Longest time between two looks at who has taken too long, in seconds.
SWEEP = 0.25
#: After the stop, how long a silent connection is kept for a request on its way.
LAST_SECONDS = 1.0
#: Only clients that sent more than this are held to `Limits.memory_bytes`.
LARGE = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take; times in seconds."""

    max_body_bytes: int = 4 * 1024 * 1024
    #: From the first byte of a request to its last.
    request_seconds: float = 5.0
    #: For taking the whole answer.
    answer_seconds: float = 30.0
    #: After the last answer, for what the client is still sending.
    linger_seconds: float = 5.0
    #: Requests in the memory of one process, all clients together.
    memory_bytes: int = 64 * 1024 * 1024


class Reception:
    """The connections of one process.

    Args:
        poller: Wakes a connection when its client sent, or can take, something.
        settings: gunicorn's.
        limits: What one client may take.
        doors: Beginnings of the paths at which webhooks come in.
        hand_over: Is given each connection that has a whole request; `answered` or
            `failed` gives it back.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        settings: Config,
        limits: Limits,
        doors: tuple[str, ...],
        hand_over: Callable[[Connection], None],
    ) -> None:
        self._poller = poller
        self._settings = settings
        self._limits = limits
        self._doors = doors
        self._hand_over = hand_over
        self._connections: set[Connection] = set()
        self._next_sweep = 0.0
        #: A connection in another phase waits for us, not for its client.
        self._patience = {
            Phase.IDLE: float(settings.keepalive),
            Phase.READING: limits.request_seconds,
            Phase.WRITING: limits.answer_seconds,
            Phase.LINGERING: limits.linger_seconds,
        }

    def __len__(self) -> int:
        """Count the connections."""
        return len(self._connections)

    def welcome(self, client_socket: socket.socket, client: Any, server: Any) -> None:
        """Take on a new client.

        Args:
            client_socket: Just accepted.
            client: Its address.
            server: The address it came to.
        """
        inbox = Inbox(self._settings, client, self._limits.max_body_bytes)
        connection = Connection(client_socket, client, server, inbox)
        self._connections.add(connection)
        self._wait(connection, Phase.IDLE)

    def answered(self, connection: Connection, *, keeps: bool) -> None:
        """Go on with a connection whose answer is in its outbox."""
        connection.request = None
        connection.keeps = keeps
        self._reply(connection)

    def failed(self, connection: Connection) -> None:
        """Go on with a connection that the application has no answer for."""
        path = connection.request.path
        connection.request = None
        connection.sock.clear()
        refusal = Refusal(500, "the bridge failed; its log says where")
        self._refuse(connection, refusal, path)

    def sweep(self, now: float) -> None:
        """End what has lasted too long, unless the last look was a moment ago."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP
        for connection in list(self._connections):
            if connection.phase in self._patience and connection.deadline <= now:
                self._expire(connection)

    def hurry(self, now: float) -> None:
        """From now on, end connections soon that owe nobody anything."""
        for phase in (Phase.IDLE, Phase.LINGERING):
            self._patience[phase] = min(self._patience[phase], LAST_SECONDS)
        for connection in self._connections:
            if connection.phase in (Phase.IDLE, Phase.LINGERING):
                connection.deadline = min(connection.deadline, now + LAST_SECONDS)

    def make_room(self) -> None:
        """Close the connection that has been silent longest, if any is."""
        silent = [one for one in self._connections if one.phase is Phase.IDLE]
        if silent:
            self._drop(min(silent, key=lambda one: one.deadline))

    def close(self) -> None:
        """Close every connection as it is."""
        for connection in list(self._connections):
            self._drop(connection)

    def _wake(self, connection: Connection, _socket: socket.socket) -> None:
        if connection.phase is Phase.WRITING:
            self._reply(connection)
            return
        if connection.phase is Phase.HANDLING:
            # A client that does not wait for its answer; it is heard again after that.
            self._watch(connection, 0)
            return
        try:
            connection.receive()
        except OSError:
            self._drop(connection)
            return
        if connection.phase is not Phase.LINGERING:
            self._advance(connection)
        elif connection.has_ended:
            self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Hand over the next request if it is whole, else wait for the rest."""
        try:
            request = connection.inbox.next()
            if request is None:
                self._check_rest(connection)
        except Refusal as refusal:
            self._refuse(connection, refusal, connection.inbox.path)
            return
        if request is not None:
            connection.begin(request)
            self._hand_over(connection)
        elif not connection.inbox.is_empty:
            self._wait(connection, Phase.READING)
            self._grant(connection)
        elif connection.has_ended:
            self._drop(connection)
        else:
            self._wait(connection, Phase.IDLE)

    def _check_rest(self, connection: Connection) -> None:
        """Refuse to wait for what will not come, or for which there is no memory."""
        inbox, limits = connection.inbox, self._limits
        if connection.has_ended and not inbox.is_empty:
            raise Refusal(400, "the request ends too early")
        if len(inbox) > LARGE:
            held = sum(one.held for one in self._connections)
            if held > max(limits.memory_bytes, 2 * limits.max_body_bytes):
                raise Refusal(503, "too many large requests at once")

    def _grant(self, connection: Connection) -> None:
        """Send `100 Continue` to a client that waits for it."""
        if not connection.inbox.owes_continue:
            return
        connection.inbox.continued()
        connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            connection.flush()  # what does not go now goes before the answer
        except OSError:
            self._drop(connection)

    def _refuse(
        self, connection: Connection, refusal: Refusal, path: str | None
    ) -> None:
        """Answer without the application, and end the connection.

        Args:
            connection: Whose request it is.
            refusal: The answer.
            path: The request's, where it is known.
        """
        request_id = secrets.token_hex(16)
        log.info(
            "request.refused",
            status=refusal.status,
            reason=refusal.detail,
            request_id=request_id,
        )
        is_webhook = None if path is None else path.startswith(self._doors)
        upstream.refused(refusal.status, is_webhook=is_webhook)
        connection.keeps = False
        connection.sock.sendall(answer_to(refusal, request_id))
        self._reply(connection)

    def _reply(self, connection: Connection) -> None:
        """Send what is left of an answer; when all is gone, go on or end."""
        try:
            connection.flush()
            if not connection.sock and not connection.keeps:
                connection.hang_up()
        except OSError:
            self._drop(connection)
            return
        if connection.sock:
            self._wait(connection, Phase.WRITING)
        elif connection.keeps:
            self._advance(connection)
        elif connection.has_ended:
            self._drop(connection)
        else:
            # Closing now, with bytes unread, would reset the connection and could
            # take the answer away from a client that is still sending.
            self._wait(connection, Phase.LINGERING)

    def _expire(self, connection: Connection) -> None:
        if connection.phase is Phase.READING:
            seconds = self._limits.request_seconds
            detail = f"the request was not whole within {seconds:g} s"
            self._refuse(connection, Refusal(408, detail), connection.inbox.path)
        else:
            self._drop(connection)

    def _wait(self, connection: Connection, phase: Phase) -> None:
        """Leave a connection until its client does something, or its time is up."""
        if connection.phase is not phase:
            connection.phase = phase
            connection.deadline = time.monotonic() + self._patience[phase]
        is_writing = phase is Phase.WRITING
        self._watch(
            connection, selectors.EVENT_WRITE if is_writing else selectors.EVENT_READ
        )

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if connection.watched:
            self._poller.unregister(connection.socket)
        if events:
            wake = partial(self._wake, connection)
            self._poller.register(connection.socket, events, wake)
        connection.watched = events

    def _drop(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self._connections.discard(connection)
        connection.socket.close()
