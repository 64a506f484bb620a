"""How long a small durable write takes: no answer that waits for one can be faster."""

import os
import time
from io import FileIO
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from benchmarks.sender import NANO

#: Nanoseconds between two writes: rare enough to cost a load next to nothing.
PAUSE = NANO // 10
BLOCK = bytes(4096)


def write(file: FileIO) -> None:
    """Write one block over the first and wait for the disk."""
    file.seek(0)
    file.write(BLOCK)
    os.fdatasync(file.fileno())


class Disk:
    """Times durable writes to a file of its own for as long as the block lasts.

    Each is timed from when it was due, as answers are: a disk that stands still for a
    second holds up all that was due in it, not one.

    Args:
        folder: Where the program under load keeps its database.

    Attributes:
        took: Nanoseconds from when each write was due until it was on disk.
    """

    def __init__(self, folder: Path) -> None:
        self.took: list[int] = []
        self._path = folder / "fdatasync"
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        due = time.monotonic_ns()
        with FileIO(self._path, "w") as file:
            while not self._over.wait(max(0, due - time.monotonic_ns()) / NANO):
                write(file)
                self.took.append(time.monotonic_ns() - due)
                due += PAUSE
        self._path.unlink()
