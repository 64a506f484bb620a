"""Child processes: started, watched, restarted when they die, stopped together.

A process ends by a stop signal, or by the death of its parent.
"""

import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Event
from typing import NoReturn

import gevent

from bridge import logging as logs
from bridge import metrics

log = logs.get(__name__)

#: From the platform, Ctrl-C, a closed terminal.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: `PR_SET_PDEATHSIG` of `<linux/prctl.h>`.
_SET_PARENT_DEATH_SIGNAL = 1
#: A process that dies so often within `WITHIN_SECONDS` is not restarted.
MAX_DEATHS = 5
WITHIN_SECONDS = 60.0
FIRST_PAUSE = 0.5
#: A delivering process gives its open calls 20 s, the platform gives all of us 30.
STOP_SECONDS = 24.0
#: Between two looks at the processes, while running and while stopping (seconds).
TICK = 0.5
STOP_TICK = 0.05


class ManagedProcess:
    """One process to be kept running.

    Args:
        role: For the log.
        run: What the process does; returns its exit status.
        first_pause: Seconds before the first restart; each further one waits twice as
            long.
    """

    def __init__(
        self, role: str, run: Callable[[], int], first_pause: float = FIRST_PAUSE
    ) -> None:
        self.role = role
        self._run = run
        self._first_pause = first_pause
        #: None while it does not run.
        self.pid: int | None = None
        #: When to start it (monotonic).
        self.starts_at = 0.0
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    @property
    def is_crash_looping(self) -> bool:
        """Whether it has died too often in too short a time."""
        deaths = self._deaths
        return len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < WITHIN_SECONDS

    def start(self) -> None:
        """Fork it."""
        self.pid = fork(self._run)
        log.info("process.started", role=self.role, pid=self.pid)

    def reap(self) -> bool:
        """Tell whether it has ended since the last call."""
        if self.pid is None:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return False
        self.pid = None
        metrics.mark_dead(pid)
        now = time.monotonic()
        self._deaths.append(now)
        recent = sum(now - death < WITHIN_SECONDS for death in self._deaths)
        self.starts_at = now + self._first_pause * 2 ** (recent - 1)
        exitcode = os.waitstatus_to_exitcode(status)
        log.info("process.ended", role=self.role, status=exitcode)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs: until `reap` its id belongs to nothing else."""
        if self.pid is not None:
            os.kill(self.pid, number)


class Supervisor:
    """Keeps all processes running until the program is asked to stop.

    Args:
        processes: Not yet started.
        stop: Set by a stop signal; made before anything else.
        on_stop: Called once, first thing when stopping.
        stop_seconds: After that, when to kill a process that still runs.
    """

    def __init__(
        self,
        processes: Sequence[ManagedProcess],
        stop: Event,
        on_stop: Callable[[], None],
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._processes = processes
        self._stop = stop
        self._on_stop = on_stop
        self._stop_seconds = stop_seconds

    def run(self) -> int:
        """Run the processes.

        Returns:
            0 after a stop signal, 1 when a process died too often.
        """
        while not self._stop.is_set():
            if any(process.is_crash_looping for process in self._processes):
                log.error("process.given_up", deaths=MAX_DEATHS, within=WITHIN_SECONDS)
                self._end()
                return 1
            now = time.monotonic()
            for process in self._processes:
                if process.pid is None and process.starts_at <= now:
                    process.start()
            self._stop.wait(TICK)
            for process in self._processes:
                if process.reap() and not self._stop.is_set():
                    log.error("process.died", role=process.role)
        self._end()
        return 0

    def _end(self) -> None:
        """Stop all processes; a second stop signal changes nothing."""
        self._on_stop()
        until = time.monotonic() + self._stop_seconds
        for process in self._processes:
            process.signal(signal.SIGTERM)
        while self._is_running() and time.monotonic() < until:
            time.sleep(STOP_TICK)
        for process in self._processes:
            if process.pid is not None:
                log.error("process.killed", role=process.role)
                process.signal(signal.SIGKILL)

    def _is_running(self) -> bool:
        for process in self._processes:
            process.reap()
        return any(process.pid is not None for process in self._processes)


def run_once(run: Callable[[], int]) -> int:
    """Run something in a process of its own, and wait for its exit status."""
    _, status = os.waitpid(fork(run), 0)
    return os.waitstatus_to_exitcode(status)


def fork(run: Callable[[], int]) -> int:
    """Start a child process that ends with what is run in it.

    Returns:
        Its process id; the child itself never returns.
    """
    parent = os.getpid()
    _flush()
    # Until the child has forgotten our handlers, a signal would only set its copy of
    # our event.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    pid = os.fork()
    if pid == 0:
        _live(run, parent, mask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _live(run: Callable[[], int], parent: int, mask: Iterable[int]) -> NoReturn:
    status = 1
    try:
        die_with_parent(parent)
        gevent.reinit()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        log.exception("process.failed")
    finally:
        _flush()
        # Whatever the parent had opened or registered is the parent's to end.
        os._exit(status & 0xFF)


def _flush() -> None:
    """Write out what the streams still hold, where they take it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def stop_event() -> Event:
    """Make an event that stop signals set; call it before anything else is started.

    gevent's event only schedules its waiters when it is set, so the handler may run in
    the middle of anything.
    """
    stop = Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its parent dies, however it dies.

    Only Linux can do that; elsewhere nothing happens. Call it right after the fork.

    Args:
        parent: Process id of the parent, for the case that it has died already.

    References:
        https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
