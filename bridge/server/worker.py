"""A gthread worker whose threads only ever see whole requests.

gunicorn's own gives a connection to a thread as soon as it has one byte, and the thread
waits for the rest however long it takes: four stalled senders silence four threads.
Here the loop that accepts connections also reads, without blocking, until a request is
whole, and writes what a slow client has not yet taken; a thread only computes.

Requests that the application can begin together, because they wait together, go to a
thread as one batch: what a thread costs is paid once for all of them. There is one
batch at a time: what comes while it waits for the disk makes the next one larger.

What stays gunicorn's: processes, heartbeat, signals, the loop, the thread pool, the
parser (through `framing`), the WSGI environment and the response writer.
"""

import errno
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, TypeVar

from gunicorn.workers.gthread import ThreadWorker

from bridge import log as logs
from bridge.server.connection import Connection
from bridge.server.exchange import Application, Exchange
from bridge.server.lifeline import STOP_SIGNALS
from bridge.server.reception import SWEEP, Limits, Reception

log = logs.get(__name__)

T = TypeVar("T")
Answers = Future[list[bool | Exception]]

#: Most requests of one batch, and the longest body that may be in one.
BATCH_SIZE = 64
BATCH_BODY = 65_536

#: Errors of `accept`: no descriptor is left, or the listener itself is no good. Any
#: other concerns the one client that came, or nobody.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class WholeRequestWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Reads and writes in the loop, computes in the threads."""

    limits: ClassVar[Limits] = Limits()
    #: Beginnings of the paths at which webhooks come in; these are computed in batches.
    batched: ClassVar[tuple[str, ...]] = ()
    reception: Reception
    wsgi: Application

    @classmethod
    def made(
        cls, limits: Limits, batched: tuple[str, ...]
    ) -> "type[WholeRequestWorker]":
        """Make a class with other settings: gunicorn asks for a class."""
        return type(cls.__name__, (cls,), {"limits": limits, "batched": batched})

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
        """Load the application, and open the reception."""
        super().load_wsgi()
        self._to_batch: deque[Connection] = deque()
        self._is_batching = False
        self.reception = Reception(
            self.poller,
            self.cfg,
            self.limits,
            self.batched,
            hand_over=self.enqueue_req,
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

    def enqueue_req(self, conn: Connection) -> None:
        """Hand a whole request to a thread, at once or with the next batch."""
        if conn.body_bytes <= BATCH_BODY and conn.request.path.startswith(self.batched):
            self._to_batch.append(conn)
        else:
            self._submit([conn], self._answered)

    def handle(self, conns: Sequence[Connection]) -> list[bool | Exception]:
        """Compute answers, in a thread, and send what goes without waiting.

        Returns:
            For each whether another request may follow on its connection, or why there
            is no answer.
        """
        keeps = self.alive and bool(self.cfg.keepalive)
        begun = [_tried(partial(self._begin, conn, keeps)) for conn in conns]
        return [
            _tried(partial(_finish, one)) if isinstance(one, Exchange) else one
            for one in begun
        ]

    def _begin(self, conn: Connection, keeps: bool) -> Exchange:
        exchange = Exchange(conn, self.cfg, keeps=keeps)
        exchange.begin(self.wsgi)
        return exchange

    def _submit(
        self,
        conns: Sequence[Connection],
        answered: Callable[[Sequence[Connection], "Answers"], None],
    ) -> None:
        future = self.tpool.submit(self.handle, conns)
        future.add_done_callback(
            lambda done: self.method_queue.defer(answered, conns, done)
        )

    def _answered(self, conns: Sequence[Connection], done: "Answers") -> None:
        """Give connections back, in the loop, when their thread is done with them."""
        for conn, result in zip(conns, done.result(), strict=True):
            if isinstance(result, Exception):
                log.error("request.failed", exc_info=result)
                self.reception.failed(conn)
            else:
                self.reception.answered(conn, keeps=result)

    def _batch_answered(self, conns: Sequence[Connection], done: "Answers") -> None:
        self._is_batching = False
        self._answered(conns, done)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait, but not past the next sweep; batch what came meanwhile."""
        super().wait_for_and_dispatch_events(min(timeout, SWEEP))
        if self._to_batch and not self._is_batching:
            size = min(len(self._to_batch), BATCH_SIZE)
            batch = [self._to_batch.popleft() for _ in range(size)]
            self._is_batching = True
            self._submit(batch, self._batch_answered)

    def murder_keepalived(self, force: bool = False) -> None:
        """End whatever has lasted too long; with force, everything."""
        if force:
            self.reception.close()
        else:
            self.reception.sweep(time.monotonic())
        self.nr_conns = len(self.reception)


def _finish(exchange: Exchange) -> bool:
    keeps = exchange.finish()
    with suppress(OSError):  # a client that is gone is noticed in the loop
        exchange.connection.flush()
    return keeps


def _tried(step: Callable[[], T]) -> T | Exception:
    """Take a step; one request's mishap must not take its batch along."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is logged
        return error
