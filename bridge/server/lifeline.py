"""What ends a process: the order to stop, or the death of its parent."""

import ctypes
import os
import signal
import sys
from threading import Event, Thread

#: The orders to end in good order: the platform's, Ctrl-C, a closed terminal.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: `PR_SET_PDEATHSIG` of `<linux/prctl.h>`.
_SET_PARENT_DEATH_SIGNAL = 1


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


def stop_event() -> Event:
    """Make an event that stop signals set.

    A thread waits for them while every other has them blocked. A handler would run in
    the midst of whatever the main thread does: it could wait for a lock its own thread
    holds, and up to Python 3.12 a `SimpleQueue.get` that it interrupts waits for ever
    when the handler returns after the queue's time is over.
    """
    stop = Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)

    def wait() -> None:
        signal.sigwait(STOP_SIGNALS)
        stop.set()

    Thread(target=wait, name="stop", daemon=True).start()
    return stop
