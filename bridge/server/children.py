"""Child processes: started, watched, started again when they die, ended together."""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import NoReturn

from bridge import log as logs
from bridge.server.lifeline import STOP_SIGNALS, die_with_parent

log = logs.get(__name__)

#: A child that dies so often within `WITHIN_SECONDS` is not started again.
MAX_DEATHS = 5
WITHIN_SECONDS = 60.0
FIRST_PAUSE = 0.5
#: A delivering process gives its open calls 20 s, the platform gives all of us 30.
STOP_SECONDS = 24.0
#: Longest time between two looks at the children, in seconds.
TICK = 0.5

Signals = SimpleQueue[int]


class Child:
    """One process to be kept alive.

    Args:
        name: For the log.
        run: Its whole life, in the child; returns the exit status.
        first_pause: Seconds before the first restart; each further one waits twice
            as long.
    """

    def __init__(
        self, name: str, run: Callable[[], int], first_pause: float = FIRST_PAUSE
    ) -> None:
        self.name = name
        self._run = run
        self._first_pause = first_pause
        #: None while it does not run.
        self.pid: int | None = None
        #: When to start it (monotonic).
        self.starts_at = 0.0
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    @property
    def is_hopeless(self) -> bool:
        """Whether it has died too often in too short a time."""
        deaths = self._deaths
        return len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < WITHIN_SECONDS

    def start(self) -> None:
        """Fork it."""
        self.pid = fork(self._run)
        log.info("process.started", role=self.name, pid=self.pid)

    def reap(self) -> bool:
        """Say whether it has died since it was last asked."""
        if self.pid is None:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return False
        self.pid = None
        self._note_death(os.waitstatus_to_exitcode(status))
        return True

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it runs: only `reap` makes its id somebody else's."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def _note_death(self, status: int) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        recent = sum(now - death < WITHIN_SECONDS for death in self._deaths)
        self.starts_at = now + self._first_pause * 2 ** (recent - 1)
        log.info("process.ended", role=self.name, status=status)


class Children:
    """All of them together.

    Args:
        children: Not yet started.
        on_stop: Called once, first thing when the end begins.
        stop_seconds: After that, when to kill a child that is still there.
    """

    def __init__(
        self,
        children: Sequence[Child],
        on_stop: Callable[[], None],
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._children = children
        self._on_stop = on_stop
        self._stop_seconds = stop_seconds

    def run(self) -> int:
        """Keep them alive until a stop signal comes, or one cannot be kept.

        Returns:
            0 after a stop signal, 1 when a child died too often.
        """
        with _noted(*STOP_SIGNALS, signal.SIGCHLD) as signals:
            while not any(child.is_hopeless for child in self._children):
                self._start_due()
                if _next(signals, TICK) in STOP_SIGNALS:
                    return self._end(signals, 0)
                for child in self._children:
                    if child.reap():
                        log.error("process.died", role=child.name)
            log.error("process.given_up", deaths=MAX_DEATHS, within=WITHIN_SECONDS)
            return self._end(signals, 1)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid is None and child.starts_at <= now:
                child.start()

    def _end(self, signals: Signals, status: int) -> int:
        """End them all; what comes now, a second stop signal say, changes nothing."""
        self._on_stop()
        until = time.monotonic() + self._stop_seconds
        for child in self._children:
            child.tell(signal.SIGTERM)
        while self._are_alive() and time.monotonic() < until:
            _next(signals, TICK)
        for child in self._children:
            if child.pid is not None:
                log.error("process.killed", role=child.name)
                child.tell(signal.SIGKILL)
        return status

    def _are_alive(self) -> bool:
        for child in self._children:
            child.reap()
        return any(child.pid is not None for child in self._children)


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
    # A signal that reached the child before it forgets our handlers would be noted in
    # its copy of our queue, where nobody looks.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    pid = os.fork()
    if pid == 0:
        _live(run, parent, before)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _live(run: Callable[[], int], parent: int, mask: Iterable[int]) -> NoReturn:
    status = 1
    try:
        die_with_parent(parent)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
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


@contextmanager
def _noted(*numbers: signal.Signals) -> Iterator[Signals]:
    """Note signals in a queue; it may be added to in the middle of anything."""
    queue = Signals()
    before = {
        one: signal.signal(one, lambda number, _: queue.put(number)) for one in numbers
    }
    try:
        yield queue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _next(signals: Signals, timeout: float) -> int | None:
    try:
        return signals.get(timeout=timeout)
    except Empty:
        return None
