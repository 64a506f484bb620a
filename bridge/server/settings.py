"""gunicorn, set up for the bridge: every setting in one place, none from outside."""

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from bridge import log as logs
from bridge.server.exchange import Application
from bridge.server.lifeline import STOP_SIGNALS, die_with_parent
from bridge.server.reception import Limits
from bridge.server.worker import WholeRequestWorker

#: Requests under way have this long at the stop; whole within 5 s, stored within 4.
GRACEFUL_SECONDS = 15
#: Connections of one process; fewer than the 1,024 files a process usually may open.
CONNECTIONS = 512
#: Heroku's router keeps its connections for 90 s, and must be the one to close them.
KEEPALIVE_SECONDS = 95
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where heartbeats cost no disk


class Receivers(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """The receiving processes.

    Args:
        load: Builds the application, in each process after the fork.
        fd: The listening socket's descriptor; it passes to gunicorn.
        processes: How many.
        threads: Threads of each.
        limits: What one client may take.
        batched: Beginnings of the paths at which webhooks come in, which the
            application can begin together, because they wait together.
    """

    def __init__(
        self,
        load: Callable[[], Application],
        *,
        fd: int,
        processes: int,
        threads: int,
        limits: Limits,
        batched: tuple[str, ...] = (),
    ) -> None:
        self._load = load
        self._settings: dict[str, Any] = {
            "bind": f"fd://{fd}",
            "workers": processes,
            "threads": threads,
            "worker_class": WholeRequestWorker.made(limits, batched),
            "worker_connections": CONNECTIONS,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "worker_tmp_dir": _heartbeats(),
            "control_socket_disable": True,
            # No peer's word is taken for where a request came from.
            "forwarded_allow_ips": "",
            # A file is read into the answer like anything else: see `Outbox`.
            "sendfile": False,
            "logger_class": _Log,
            "post_fork": _after_fork,
            "post_worker_init": _after_load,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults; no file, no environment."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)
        # As attributes: looking them up in gunicorn's table is a third of its parser.
        self.cfg.__dict__.update(
            {name: setting.get() for name, setting in self.cfg.settings.items()}
        )

    def load(self) -> Application:
        """Build the application."""
        return self._load()

    def run(self) -> None:
        """Receive until told to stop; ends in `SystemExit`."""
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc] # gunicorn has no types
    def spawn_worker(self) -> Any:
        """Fork a worker, which listens to signals again once it can handle them.

        Until then it has the arbiter's handlers, and would note the order to stop in
        its copy of the arbiter's queue, where nobody looks.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def handle_int(self) -> None:
        """End in good order on Ctrl-C, as on SIGTERM."""
        self.handle_term()


class _Log(Logger):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's words, through our handler; its access log is off."""

    def setup(self, cfg: Any) -> None:
        level = self.error_log.level
        super().setup(cfg)
        self.error_log.setLevel(level)
        logs.adopt("gunicorn.error", "gunicorn.access")


def _heartbeats() -> str | None:
    is_usable = os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    return str(_SHARED_MEMORY) if is_usable else None


def _after_fork(arbiter: Any, _worker: Any) -> None:
    die_with_parent(arbiter.pid)


def _after_load(_worker: Any) -> None:
    # What is here now stays for good: collections need not look at it again.
    gc.collect()
    gc.freeze()
