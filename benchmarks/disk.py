"""How long a small durable write takes: no answer that waits for one can be faster."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import Event, Thread

from benchmarks.sender import NANO

#: Nanoseconds between two writes: rare enough to cost a load next to nothing.
PAUSE = NANO // 10
BLOCK = bytes(4096)


def write(file: FileIO) -> None:
    """Write one block over the first and wait for the disk."""
    file.seek(0)
    file.write(BLOCK)
    os.fdatasync(file.fileno())


@contextmanager
def timed(folder: Path) -> Iterator[list[int]]:
    """Time durable writes to a file of its own for as long as the block lasts.

    Each is timed from when it was due, as answers are: a disk that stands still for a
    second holds up all that was due in it, not one.

    Args:
        folder: Where the program under load keeps its database.

    Yields:
        Nanoseconds from when each write was due until it was on disk; it grows.
    """
    over, took = Event(), list[int]()

    def look() -> None:
        due = time.monotonic_ns()
        with FileIO(folder / "fdatasync", "w") as file:
            while not over.wait(max(0, due - time.monotonic_ns()) / NANO):
                write(file)
                took.append(time.monotonic_ns() - due)
                due += PAUSE

    thread = Thread(target=look)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()
