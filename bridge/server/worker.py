"""A gthread worker whose threads only ever see whole requests.

gunicorn's own gives a connection to a thread as soon as it has one byte, and the thread
waits for the rest however long it takes: four stalled senders silence four threads.
Here the loop that accepts connections also reads, without blocking, until a request is
whole, and writes what a slow client has not yet taken; a thread only computes.

What stays gunicorn's: processes, heartbeat, signals, the loop, the thread pool, the
parser (through `framing`), the WSGI environment and the response writer.
"""

import errno
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker

from bridge import log as logs
from bridge.server.connection import Connection
from bridge.server.lifeline import STOP_SIGNALS
from bridge.server.reception import SWEEP, Limits, Reception

log = logs.get(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: WSGI key: seconds the whole request waited for a thread.
WAITED = "bridge.waited_seconds"

#: Errors of `accept`: no descriptor is left, or the listener itself is no good. Any
#: other concerns the one client that came, or nobody.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class WholeRequestWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Reads and writes in the loop, computes in the threads."""

    limits: ClassVar[Limits] = Limits()
    reception: Reception
    wsgi: Application

    @classmethod
    def limited(cls, limits: Limits) -> "type[WholeRequestWorker]":
        """Make a class with other limits: gunicorn asks for a class, not an object."""
        return type(cls.__name__, (cls,), {"limits": limits})

    def init_signals(self) -> None:
        """Listen to signals from here on; the arbiter had blocked them.

        Ctrl-C and a closed terminal, which reach every process, end this one in good
        order too.
        """
        super().init_signals()
        for number in STOP_SIGNALS:
            signal.signal(number, self.handle_exit)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def load_wsgi(self) -> None:
        """Load the application; it will be told how long a request waited."""
        super().load_wsgi()
        self.wsgi = _with_waiting_time(self.wsgi)
        self.reception = Reception(
            self.poller, self.cfg, self.limits, hand_over=self.enqueue_req
        )

    def set_accept_enabled(self, enabled: bool) -> None:
        """Open or close the doors; at the stop for good, after a last look.

        gunicorn keeps the listening sockets until the last answer is out: the kernel
        would go on taking connections that nobody is going to serve.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            while self.accept(listener):
                pass
            listener.close()
        self.reception.hurry(time.monotonic())
        self.nr_conns = len(self.reception)

    def accept(self, listener: Any) -> bool:
        """Take one new connection; False where that was not possible."""
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self.reception.make_room()
                time.sleep(0.01)  # the listener stays readable: do not spin
            elif error.errno in _BROKEN:
                raise
            return False
        if len(self.reception) + 1 >= self.worker_connections:
            self.reception.make_room()
        self.reception.welcome(client_socket, client, listener.getsockname())
        return True

    def handle(self, conn: Connection) -> bool:
        """Compute an answer, in a thread, and send what goes without waiting.

        Returns:
            Whether another request may follow on the connection.
        """
        keeps: bool = self.handle_request(conn.request, conn)
        with suppress(OSError):  # a client that is gone is noticed in the loop
            conn.flush()
        return keeps

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Give a connection back, in the loop, when its thread is done with it."""
        error = fs.exception()
        if error is None:
            self.reception.answered(conn, keeps=fs.result())
        else:
            log.error("request.failed", exc_info=error)
            self.reception.failed(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait, but not past the next sweep."""
        super().wait_for_and_dispatch_events(min(timeout, SWEEP))

    def murder_keepalived(self, force: bool = False) -> None:
        """End whatever has lasted too long; with force, everything."""
        if force:
            self.reception.close()
        else:
            self.reception.sweep(time.monotonic())
        self.nr_conns = len(self.reception)


def _with_waiting_time(application: Application) -> Application:
    def wrapped(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        whole_at = environ["gunicorn.socket"].whole_at
        environ[WAITED] = time.monotonic() - whole_at
        return application(environ, start_response)

    return wrapped
