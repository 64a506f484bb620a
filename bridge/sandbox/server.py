"""The sandbox as a server, in threads of the process that makes it."""

import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Literal, Self

from bridge.sandbox.answers import Answer, Rules, rule
from bridge.sandbox.calls import Inbox, Received
from bridge.sandbox.desk import Desk
from bridge.sandbox.line import Line, UnreadableError
from bridge.sandbox.project import Campaign, Project
from bridge.sandbox.reporting import Reporter

#: How often the accepting thread looks whether to stop.
_LOOK_SECONDS = 0.05
_GOODBYE_SECONDS = 5.0


class Sandbox:
    """A local Iterable.

    Args:
        host: Where to listen; nothing but loopback is wise, it asks nobody's name.
        port: 0 takes a free one, which `port` then tells.
        api_key: The only key taken; None takes any.
        users: E-mail address of each known `userId`; None knows everybody.
        campaigns: The project's; None has every number as a running e-mail campaign.
        json_errors: Which form of `BadJsonBody` to answer.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str | None = None,
        users: Mapping[str, str] | None = None,
        campaigns: Iterable[Campaign] | None = None,
        json_errors: Literal["older", "newer"] = "older",
    ) -> None:
        self.host = host
        self.port = port
        self._rules = Rules()
        self._inbox = Inbox()
        self._project = Project(
            api_key=api_key, users=users, campaigns=campaigns, json_errors=json_errors
        )
        self._desk = Desk(self._project, self._rules, self._inbox, time.time)
        self._server: _Server | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """What `ITERABLE_BASE_URL` is to be."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def received(self) -> list[Received]:
        """What was sent to it, oldest first: every POST."""
        return [one for one in self._inbox.calls() if one.method == "POST"]

    @property
    def calls(self) -> list[Received]:
        """Every call, the reading ones included."""
        return self._inbox.calls()

    def since(self, number: int) -> list[Received]:
        """List the calls after one, by its number: cheap to ask again and again."""
        return self._inbox.calls(since=number)

    def tell(self, **settings: Any) -> None:
        """Say what to answer instead; the settings of `POST /_sandbox/answers`.

        Raises:
            ValueError: A setting is unknown or of the wrong kind.
        """
        self._rules.add(rule(settings))

    def forget(self) -> None:
        """Drop the rules and what was received."""
        self._rules.clear()
        self._inbox.clear()

    def report_to(self, url: str, secret: str) -> None:
        """Tell a bridge from now on what becomes of each message, as Iterable does.

        Args:
            url: Of its door, `…/webhooks/iterable`.
            secret: That the door wants to see.
        """
        self._desk.reporter = Reporter(url, secret, self._project)

    def start(self) -> Self:
        """Listen, and answer in threads; on the same port again after `stop`."""
        self._server = _Server(self.host, self.port, self._desk)
        self.port = self._server.server_address[1]
        self._thread = Thread(
            target=self._server.serve_forever, args=(_LOOK_SECONDS,), daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection; harmless when stopped."""
        reporter, self._desk.reporter = self._desk.reporter, None
        if reporter is not None:
            reporter.stop()
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Handler(BaseRequestHandler):
    """Serves one connection."""

    server: "_Server"

    def handle(self) -> None:
        # A client may go at any moment; that is its own business.
        with suppress(OSError):
            line = Line(self.request)
            try:
                while (call := line.read()) is not None:
                    if not self.server.desk.serve(call, line) or line.is_last:
                        break
            except UnreadableError as error:
                line.send(Answer(error.args[0], b"", {"connection": "close"}))


class _Server(ThreadingTCPServer):
    """Accepts connections and remembers the open ones."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, desk: Desk) -> None:
        self.desk = desk
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self._is_idle = Event()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
            self._is_idle.clear()
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._lock:
            self._open.discard(request)
            if not self._open:
                self._is_idle.set()

    def stop(self) -> None:
        """Accept no more, cut what is open, and wait until nobody serves."""
        self.shutdown()
        self.server_close()
        with self._lock:
            if not self._open:
                return
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._is_idle.wait(_GOODBYE_SECONDS)
