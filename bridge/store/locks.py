"""The lock file on which processes queue for SQLite's one place to write."""

import fcntl
import os
import time
from pathlib import Path

#: First pause between two looks at a taken lock, in seconds. A commit takes about a
#: millisecond, and a lock nobody holds is time lost.
_SHORTEST = 0.0002
#: Longest pause: a holder that keeps it this long is stuck, and looking costs CPU.
_LONGEST = 0.005
#: A pause is this part of the time waited so far.
_PART = 8


class FileLock:
    """An exclusive lock between processes, let go by the kernel when its holder dies.

    Two files make it a queue: who wants the lock first takes the place at its door, and
    gives that up once inside. A process that has just left therefore finds the door
    taken and cannot come in again before the one who waits; with one file it nearly
    always does, and others starve. `flock` itself knows no time limit, hence the looks.

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
        inside, door = self._files or self._open()
        if not _take(door, until):
            return False
        try:
            return _take(inside, until)
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)

    def release(self) -> None:
        """Let the next one in."""
        if self._files is not None:
            fcntl.flock(self._files[0], fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, and so let go of what is held."""
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
            pause = (now - started) / _PART
            time.sleep(min(max(pause, _SHORTEST), _LONGEST, until - now))
