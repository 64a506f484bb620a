"""The programs `serve` and `worker`: which processes run, and in which order they end.

The supervisor binds the address, so that a restart of the receivers rejects no request.
The processes are given what makes their parts, and make them after the fork.
"""

import gc
import resource
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer
from gevent.timeout import Timeout
from gunicorn.util import parse_address

from bridge import logging as logs
from bridge import metrics
from bridge.errors import BridgeError, ConfigError, Problem
from bridge.server.receivers import (
    CONNECTIONS,
    REQUEST_SECONDS,
    Application,
    Receivers,
)
from bridge.server.supervisor import (
    ManagedProcess,
    Supervisor,
    run_once,
    stop_event,
)

log = logs.get(__name__)

#: Connections the kernel keeps while no process accepts them.
BACKLOG = 1024
MAX_PORT = 65_535
#: Connections at the same time to the status address; further ones wait.
STATUS_CONNECTIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoints:
    """What the processes do, made by `bridge.web.entrypoints`."""

    #: Brings the tables up to date; run once, before anything else starts.
    prepare: Callable[[], None]
    #: Cleans up after all processes; run once, when they have ended.
    finish: Callable[[], None]
    #: Makes the application of one receiving process.
    application: Callable[[], Application]
    #: Makes the application behind `worker --status-address`.
    status: Callable[[], Application]
    #: Delivers until the event is set.
    deliver: Callable[[Event], None]


def serve(entry: Entrypoints, *, bind: str, processes: int, deliver: bool) -> int:
    """Receive and deliver until asked to stop.

    Args:
        entry: What to run.
        bind: `host:port`, `[v6]:port`, or `fd://N` for a socket that is bound already.
        processes: Receiving processes.
        deliver: False to receive only.

    Returns:
        The exit status: 0 after a stop signal, 1 when the program cannot go on.

    Raises:
        ConfigError: The address cannot be bound.
    """
    stop = stop_event()
    listener = listen(bind)
    if status := run_once(partial(_prepare, entry)):
        return status
    roles = [ManagedProcess("receive", partial(_receive, entry, listener, processes))]
    if deliver:
        roles.append(ManagedProcess("deliver", partial(_deliver, entry, listener)))
    log.info("server.listening", address=address_of(listener), deliver=deliver)
    _allow_connections()
    with _metrics_folder():
        # Untouched by collections, these pages stay shared with the children.
        gc.collect()
        gc.freeze()
        status = Supervisor(roles, stop, on_stop=listener.close).run()
    entry.finish()
    return status


def work(entry: Entrypoints, *, status_address: str | None = None) -> int:
    """Deliver until asked to stop, in this process.

    Args:
        entry: What to run.
        status_address: Where to serve health checks and metrics, as `bind` of `serve`;
            None for nowhere.

    Returns:
        The exit status.

    Raises:
        ConfigError: The address cannot be bound.
    """
    stop = stop_event()
    listener = None if status_address is None else listen(status_address)
    if status := _prepare(entry):
        return status
    if listener is not None:
        log.info("server.listening", address=address_of(listener), deliver=True)
        WSGIServer(
            listener,
            entry.status(),
            spawn=Pool(STATUS_CONNECTIONS),
            handler_class=_StatusHandler,
            log=None,
            error_log=None,
        ).start()
    entry.deliver(stop)
    entry.finish()
    return 0


class _StatusHandler(WSGIHandler):
    """One short request a connection, so that no client keeps a greenlet."""

    def handle(self) -> None:
        timeout = Timeout.start_new(REQUEST_SECONDS)
        try:
            super().handle()
        except Timeout as expired:
            if expired is not timeout:
                raise
        finally:
            timeout.close()

    def read_request(self, raw_requestline: str) -> Any:
        found = super().read_request(raw_requestline)
        self.close_connection = True
        return found


def listen(bind: str) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigError: That is no address, or it cannot be bound.
    """
    try:
        return _bound(parse_address(bind))
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ConfigError([Problem("--bind", f"{bind}: {error}")]) from None
    except OSError as error:
        raise ConfigError([Problem("--bind", f"{bind}: {error.strerror}")]) from None


def _bound(address: int | str | tuple[str, int]) -> socket.socket:
    if isinstance(address, int):
        listener = socket.socket(fileno=address)
        listener.listen(BACKLOG)
        return listener
    if isinstance(address, str) or not 0 <= address[1] <= MAX_PORT:
        raise ValueError("not host:port, nor fd://N")
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=BACKLOG)


def address_of(listener: socket.socket) -> str:
    """Write where a socket listens, as in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _metrics_folder() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="reward-bridge-metrics-"))
    try:
        metrics.configure(folder)
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _allow_connections() -> None:
    """Raise the soft limit of open files, which is often 1,024, as far as needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + 500
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _prepare(entry: Entrypoints) -> int:
    try:
        entry.prepare()
    except BridgeError as error:
        log.error("store.not_ready", reason=str(error))  # noqa: TRY400 - it is all
        return 1
    return 0


def _receive(entry: Entrypoints, listener: socket.socket, processes: int) -> int:
    """Live as gunicorn's master."""
    Receivers(entry.application, fd=listener.detach(), processes=processes).run()
    return 0


def _deliver(entry: Entrypoints, listener: socket.socket) -> int:
    """Live as the delivering process."""
    stop = stop_event()
    listener.close()
    entry.deliver(stop)
    return 0
