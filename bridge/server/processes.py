"""The processes of `serve`: a parent that only watches, receivers, and a deliverer.

The parent binds the address, so that a restart of the receivers refuses nobody. The
children are given what makes their parts, and make them after the fork.
"""

import gc
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event

from gunicorn.util import parse_address

from bridge import log as logs
from bridge.config import Config
from bridge.errors import BridgeError, ConfigError, Problem
from bridge.server.children import Child, Children, run_once
from bridge.server.exchange import Application
from bridge.server.lifeline import stop_event
from bridge.server.reception import Limits
from bridge.server.settings import Receivers
from bridge.server.state import show_state

log = logs.get(__name__)

#: Connections the kernel keeps while no process accepts them.
BACKLOG = 1024
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the processes do, made by the composition root."""

    #: Brings the tables up to date; run once, before anything else starts.
    prepare: Callable[[], None]
    #: Puts away what they leave; run once, after everything else has ended.
    finish: Callable[[], None]
    #: Makes the application of one receiving process.
    application: Callable[[], Application]
    #: Delivers until the event is set.
    deliver: Callable[[Event], None]
    #: Makes the application that tells how a `worker` does.
    state: Callable[[], Application]
    #: Beginnings of the paths whose requests wait together: see `Receivers`.
    batched: tuple[str, ...] = ()


def serve(
    config: Config,
    parts: Parts,
    *,
    bind: str,
    processes: int,
    threads: int,
    deliver: bool,
) -> int:
    """Receive and deliver until told to stop.

    Args:
        config: Checked.
        parts: What to run.
        bind: `host:port`, `[v6]:port`, or `fd://N` for a socket that is bound already.
        processes: Receiving processes.
        threads: Threads of each receiving process.
        deliver: False to receive only.

    Returns:
        The exit status: 0 after a stop signal, 1 when the program cannot go on.

    Raises:
        ConfigError: The address cannot be had.
    """
    listener = listen(bind)
    if status := run_once(partial(_prepare, parts)):
        return status
    receivers = partial(
        Receivers,
        parts.application,
        processes=processes,
        threads=threads,
        limits=Limits(max_body_bytes=config.receive.max_body_bytes),
        batched=parts.batched,
    )
    children = [Child("receive", partial(_receive, receivers, listener))]
    if deliver:
        children.append(Child("deliver", partial(_deliver, parts, listener)))
    log.info("server.listening", address=address_of(listener), deliver=deliver)
    # Untouched by collections, these pages stay shared with the children.
    gc.collect()
    gc.freeze()
    status = Children(children, on_stop=listener.close).run()
    parts.finish()
    return status


def work(parts: Parts, *, bind: str | None = None) -> int:
    """Deliver until told to stop, in this process.

    Args:
        parts: What to run.
        bind: Where to tell how things are, as of `serve`; None for nowhere.

    Returns:
        The exit status.

    Raises:
        ConfigError: The address cannot be had.
    """
    listener = None if bind is None else listen(bind)
    if status := _prepare(parts):
        return status
    if listener is not None:
        log.info("server.listening", address=address_of(listener), deliver=True)
        show_state(parts.state(), listener)
    parts.deliver(stop_event())
    parts.finish()
    return 0


def listen(bind: str) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigError: That is no address, or it cannot be had.
    """
    try:
        return _listen(parse_address(bind))
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ConfigError([Problem("--bind", f"{bind}: {error}")]) from None
    except OSError as error:
        raise ConfigError([Problem("--bind", f"{bind}: {error.strerror}")]) from None


def _listen(address: int | str | tuple[str, int]) -> socket.socket:
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


def _prepare(parts: Parts) -> int:
    try:
        parts.prepare()
    except BridgeError as error:
        log.error("store.not_ready", reason=str(error))  # noqa: TRY400 - it is all
        return 1
    return 0


def _receive(receivers: Callable[..., Receivers], listener: socket.socket) -> int:
    """Live as gunicorn's arbiter."""
    receivers(fd=listener.detach()).run()  # gunicorn closes it
    return 0


def _deliver(parts: Parts, listener: socket.socket) -> int:
    """Live as the delivering process."""
    listener.close()
    parts.deliver(stop_event())
    return 0
