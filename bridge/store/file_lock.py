"""The lock files on which processes queue for SQLite's one place to write."""

import fcntl
import os
import time
from pathlib import Path

#: First pause between two looks at a taken lock, in seconds. A commit takes about a
#: millisecond, and a lock that is free and not taken is time lost.
_SHORTEST = 0.0002
#: Longest pause: a holder that keeps it this long is stuck, and looking costs CPU.
_LONGEST = 0.005
#: The next pause is the time waited so far divided by this.
_DIVISOR = 8


class FileLock:
    """An exclusive lock between processes, released by the kernel when its holder dies.

    Two files make it a queue: a process that wants the lock first takes the place next
    in line, and leaves that once it has the lock. The process that has just released it
    therefore finds the place taken and cannot come back before the one that waits; with
    one file it nearly always does, and others starve. `flock` knows no time limit, and
    would block every greenlet of a process: hence the looks with a sleep between.

    A thread holds the lock for its process; the caller keeps its own threads apart.

    Args:
        path: A file to lock, made when missing; its content is nothing.
    """

    def __init__(self, path: Path) -> None:
        self._paths = path, path.with_name(path.name + ".next")
        self._files: tuple[int, int] | None = None

    def acquire(self, until: float) -> bool:
        """Take the lock.

        Args:
            until: Monotonic time at which to give up; at least one try is made.

        Raises:
            OSError: A file cannot be opened.
        """
        lock, next_in_line = self._files or self._open()
        if not _take(next_in_line, until):
            return False
        try:
            return _take(lock, until)
        finally:
            fcntl.flock(next_in_line, fcntl.LOCK_UN)

    def release(self) -> None:
        """Let the next process have it."""
        if self._files is not None:
            fcntl.flock(self._files[0], fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, and so release what is held."""
        files, self._files = self._files or (), None
        for file in files:
            os.close(file)

    def _open(self) -> tuple[int, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        first = os.open(self._paths[0], flags, 0o600)
        try:
            self._files = first, os.open(self._paths[1], flags, 0o600)
        except OSError:
            os.close(first)
            raise
        return self._files


def _take(file: int, until: float) -> bool:
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            now = time.monotonic()
            if now >= until:
                return False
            pause = (now - started) / _DIVISOR
            time.sleep(min(max(pause, _SHORTEST), _LONGEST, until - now))
