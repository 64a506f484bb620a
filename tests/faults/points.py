"""Points in the life of a webhook at which the running program can be cut down.

No hook in the program: what it needs for its next step is taken away from it, and the
condition that it waits there is observed from outside.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.program import Program


@contextmanager
def turn_taken(program: Program) -> Iterator[None]:
    """Keep everybody from writing to the database, as another process of ours would."""
    with (program.folder / "bridge.db.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def waits_for_turn(program: Program) -> bool:
    """Tell whether a process stands at the door of the lock that `turn_taken` holds."""
    with (program.folder / "bridge.db.lock.next").open("r+b") as door:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def clog(pipe: int) -> None:
    """Fill a pipe to the brim: whoever writes to it next waits until somebody reads."""
    # A description of its own, so that only these writes do not wait.
    path = Path(f"/proc/self/fd/{pipe}")
    with closing_descriptor(os.open(path, os.O_WRONLY | os.O_NONBLOCK)) as end:
        try:
            while True:
                os.write(end, b"\n")
        except BlockingIOError:
            return


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def end_leases(program: Program) -> None:
    """Let the leases of a killed program be over, as time would."""
    with program.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE deliveries SET due_at = 0 WHERE status = 'sending'"
        )


def names(program: Program) -> list[str]:
    """List who has been told, in order, with repeats."""
    return [message.user or "" for message in program.accepted()]
