"""Processes and their descendants, any of which may end while it is looked at."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def family(parent: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield parent
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in _read(task).split():
            yield from family(int(child))


def is_gone(process: int) -> bool:
    """Tell whether a process has ended, though perhaps nobody asked how."""
    _, _, rest = _read(Path(f"/proc/{process}/stat")).rpartition(")")
    return rest.split()[:1] in ([], ["Z"])


def signal_all(processes: list[int], number: int) -> None:
    """Send a signal to those of the processes that have not ended."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
