"""How long a small durable write takes: no answer that waits for one can be faster."""

import os
import time
from io import FileIO
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

#: Seconds between two writes: rare enough to cost a load next to nothing.
PAUSE = 0.1
BLOCK = bytes(4096)


def write(file: FileIO) -> int:
    """Write one block over the first and wait for the disk; nanoseconds it took."""
    began = time.monotonic_ns()
    file.seek(0)
    file.write(BLOCK)
    os.fdatasync(file.fileno())
    return time.monotonic_ns() - began


class Disk:
    """Times durable writes to a file of its own for as long as the block lasts.

    Args:
        folder: Where the program under load keeps its database.

    Attributes:
        took: Nanoseconds of each write.
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
        with FileIO(self._path, "w") as file:
            while not self._over.wait(PAUSE):
                self.took.append(write(file))
        self._path.unlink()
