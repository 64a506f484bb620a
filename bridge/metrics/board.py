"""Numbers in memory that the processes of one program share; knows no names.

Forked processes count side by side without a file, a message or a lock between them:
each adds in a row of its own, and who reads adds the rows up. prometheus-client's own
way, a mapped file for each process, costs three times as much for each count, leaves
files behind, and wants to be told of every death.
"""

import fcntl
import math
import mmap
import os
import tempfile
from array import array
from threading import Lock
from typing import TypeAlias

#: Most processes that count at the same time; rows nobody takes cost no memory.
ROWS = 128
_BYTES = 8

_Row: TypeAlias = "memoryview[float]"


class Board:
    """One row for each process that counts, and one for what belongs to nobody.

    A process takes the first row that no living process has: the kernel gives its lock
    back however the process ends. What stands in the row stays, so that sums never
    fall.

    Args:
        width: Numbers in a row.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._file = _nameless_file()
        size = (ROWS + 1) * (width + 1) * _BYTES
        os.ftruncate(self._file, size)
        self._cells: _Row = memoryview(mmap.mmap(self._file, size)).cast("d")
        #: Not of one process: the last who wrote a number is right.
        self.common = self._row(0)
        self.common[:] = _row_of([math.nan] * (width + 1))
        self.take_row()

    def take_row(self) -> None:
        """Count in a row that is this process's alone; for the child after a fork."""
        #: Keeps this process's threads apart.
        self.lock = Lock()
        #: Its last number tells that somebody has counted here.
        self.own = _row_of([0.0] * (self._width + 1))
        for number in range(1, ROWS + 1):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                continue
            self.own = self._row(number)
            break
        self.own[self._width] = 1.0

    def sums(self) -> list[float]:
        """Add up what all processes have counted, the dead ones among them."""
        rows = [self._row(number) for number in range(1, ROWS + 1)]
        used = [row.tolist() for row in rows if row[self._width]] or [self.own.tolist()]
        return [sum(column) for column in zip(*used, strict=True)]

    def close(self) -> None:
        """Let go of the memory; nobody may count here any more."""
        os.close(self._file)

    def _row(self, number: int) -> _Row:
        start = number * (self._width + 1)
        return self._cells[start : start + self._width + 1]


def _row_of(numbers: list[float]) -> _Row:
    return memoryview(array("d", numbers))


def _nameless_file() -> int:
    """Open a file that vanishes with the last process that has it open."""
    in_memory = getattr(os, "memfd_create", None)  # Linux has it
    if in_memory is not None:
        return int(in_memory("bridge-metrics"))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
