"""What a call may still take."""

import math
import ssl
import threading
import time
from typing import NamedTuple

#: What a socket says that would have to wait.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Limits(NamedTuple):
    """The limits of one call."""

    #: Monotonic time at which all of it must be over, in seconds.
    deadline: float
    #: A connection idle for longer is not used again, in seconds.
    max_idle: float
    #: The most that is read of an answer's body, in bytes.
    room: int


class Current(threading.local):
    """The limits of the current thread's call.

    A call that waits keeps to its thread, and urllib3 has no way to hand this to a
    connection.
    """

    deadline: float = math.inf
    max_idle: float = math.inf
    room: int = 0

    def keep_to(self, limits: Limits) -> None:
        """Make these the limits of what the thread does next."""
        self.deadline, self.max_idle, self.room = limits

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: None are.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left


#: The limits of the current thread's call.
current = Current()
