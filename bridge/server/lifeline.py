"""What ends a process: the order to stop, or the death of its parent."""

import ctypes
import os
import signal
import sys

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
