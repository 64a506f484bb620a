"""A clock that can be moved, for one program and without privileges.

The program reads the time through a module that Python loads before it: no hook in the
program is needed.
"""

import struct

from tests.e2e.program import Program

#: Stands before any other module of the name in the program's search path.
MODULE = """
import os, struct, time

real, clock = time.time, os.open({path!r}, os.O_RDONLY)
time.time = lambda: real() + struct.unpack("d", os.pread(clock, 8, 0))[0]
"""


class Clock:
    """How far a program's clock is ahead.

    Args:
        program: Not started.
    """

    def __init__(self, program: Program) -> None:
        self._path = program.folder / "clock"
        self._path.write_bytes(struct.pack("d", 0))
        folder = program.folder / "early"
        folder.mkdir()
        module = MODULE.format(path=str(self._path))
        (folder / "sitecustomize.py").write_text(module, encoding="utf-8")
        program.env["PYTHONPATH"] = str(folder)

    def set(self, seconds: float) -> None:
        """Put it so far ahead of this machine's."""
        # In one write over what is there: a reader never sees half of it.
        with self._path.open("r+b", buffering=0) as file:
            file.write(struct.pack("d", seconds))
