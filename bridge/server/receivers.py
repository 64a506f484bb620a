"""The receiving processes: gunicorn's gevent workers with a deadline for each request.

Every setting of gunicorn is here, and none comes from outside.
"""

import errno
import gc
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from gevent import monkey
from gevent import socket as gevent_socket
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from bridge import logging as logs
from bridge import metrics
from bridge.server.supervisor import STOP_SIGNALS, die_with_parent

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Requests under way have this long at the stop; complete within 5 s, stored within 4.
GRACEFUL_SECONDS = 15
#: Connections of one process.
CONNECTIONS = 2000
#: Longest request line, most header fields, longest field (bytes).
MAX_LINE, MAX_FIELDS, MAX_FIELD_SIZE = 4094, 100, 8190
#: Where heartbeats cost no disk.
_HEARTBEATS = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108

#: A request must arrive within so many seconds of its first byte, and the first one of
#: a connection within as many of connecting.
REQUEST_SECONDS = 5.0
#: Time between two requests of a connection. Heroku's router keeps its connections for
#: 90 s, and must be the one to close them.
KEEPALIVE_SECONDS = 95
#: A client must take an answer within this.
SEND_SECONDS = 30.0


class ClientSocket(gevent_socket.socket):
    """One client's connection. A slow client costs a greenlet, and only for a while."""

    #: When the request that has begun must be complete (monotonic); None between two.
    deadline: float | None

    def __init__(self, accepted: socket.socket) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        self.deadline = time.monotonic() + REQUEST_SECONDS

    def recv(self, *args: Any) -> bytes:
        """Receive the next bytes.

        Raises:
            TimeoutError: The client is too slow; `errno` is that of a connection reset,
                which gunicorn takes quietly.
        """
        if self.deadline is None:
            patience = float(KEEPALIVE_SECONDS)
        else:
            patience = max(self.deadline - time.monotonic(), 0.001)
        self.settimeout(patience)
        try:
            data: bytes = super().recv(*args)
        except TimeoutError:
            message = "the request was not complete in time"
            raise TimeoutError(errno.ECONNRESET, message) from None
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            data = b""  # by `close_if_idle`
        if self.deadline is None:
            self.deadline = time.monotonic() + REQUEST_SECONDS
        self.settimeout(SEND_SECONDS)
        return data

    def close_if_idle(self) -> None:
        """End the connection if no request has begun on it."""
        if self.deadline is None and self.fileno() >= 0:
            self.shutdown(socket.SHUT_RD)


class BoundedWorker(GeventWorker):  # type: ignore[misc] # gunicorn has no types
    """Serves each connection in a greenlet, and none for longer than it may take."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: set[ClientSocket] = set()

    def patch(self) -> None:
        """Patch the rest, which only forking processes had to leave alone."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
            super().patch()

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve one connection until it ends."""
        bounded = ClientSocket(client)
        self._clients.add(bounded)
        try:
            super().handle(listener, bounded, addr)
        finally:
            self._clients.discard(bounded)

    def handle_request(
        self, listener_name: Any, req: Any, sock: ClientSocket, addr: Any
    ) -> Any:
        """Answer one request; the next one may take its time to begin."""
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.deadline = None
            if not self.alive:
                sock.close_if_idle()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop in good order: idle connections would delay the end by 15 s."""
        super().handle_exit(sig, frame)
        for client in tuple(self._clients):
            client.close_if_idle()


class Receivers(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's master and its workers.

    Args:
        load: Builds the application, in each worker after the fork.
        fd: The listening socket's descriptor; it passes to gunicorn.
        processes: Number of workers.
    """

    def __init__(
        self, load: Callable[[], Application], *, fd: int, processes: int
    ) -> None:
        self._load = load
        self._settings: dict[str, Any] = {
            "bind": f"fd://{fd}",
            "workers": processes,
            "worker_class": BoundedWorker,
            "worker_connections": CONNECTIONS,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "limit_request_line": MAX_LINE,
            "limit_request_fields": MAX_FIELDS,
            "limit_request_field_size": MAX_FIELD_SIZE,
            "worker_tmp_dir": _HEARTBEATS,
            "control_socket_disable": True,
            # No peer is trusted to say where a request came from: see ProxyFix.
            "forwarded_allow_ips": "",
            "logger_class": _Log,
            "when_ready": _when_ready,
            "post_fork": _post_fork,
            "post_worker_init": _post_worker_init,
            "child_exit": _child_exit,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults; no file, no environment."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        """Build the application."""
        return self._load()


class _Log(Logger):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's messages through our handler; its access log is off."""

    def setup(self, cfg: Any) -> None:
        level = self.error_log.level
        super().setup(cfg)
        self.error_log.setLevel(level)
        logs.adopt("gunicorn.error", "gunicorn.access")


def _when_ready(_arbiter: Any) -> None:
    """Leave Ctrl-C and a closed terminal to the supervisor, which sends SIGTERM.

    While a worker is forked, SIGTERM waits: the worker would note it in its copy of the
    master's queue, which nothing reads.
    """
    _ignore_terminal()
    os.register_at_fork(before=_block, after_in_parent=_unblock)


def _ignore_terminal() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _post_fork(arbiter: Any, _worker: Any) -> None:
    die_with_parent(arbiter.pid)


def _post_worker_init(_worker: Any) -> None:
    _ignore_terminal()
    _unblock()
    # What is here now stays for good: collections need not look at it again.
    gc.collect()
    gc.freeze()


def _child_exit(_arbiter: Any, worker: Any) -> None:
    metrics.mark_dead(worker.pid)
