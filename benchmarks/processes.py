"""CPU time and memory of a program's processes, read from /proc (Linux)."""

import os
from collections.abc import Collection
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def of_sessions(leaders: Collection[int]) -> list[int]:
    """List the processes of sessions; every program is started as leader of one."""
    pids = (int(path.name) for path in PROC.iterdir() if path.name.isdecimal())
    names = {str(leader) for leader in leaders}
    return [pid for pid in pids if names.intersection(_stat(pid)[3:4])]


def cpu_seconds(pids: list[int]) -> float:
    """Sum user and system time, children that have ended included."""
    return sum(int(ticks) for pid in pids for ticks in _stat(pid)[11:15]) / TICKS


def pss_megabytes(pids: list[int]) -> float:
    """Sum memory in MB, shared pages divided among the processes that share them."""
    texts = (_read(PROC / str(pid) / "smaps_rollup") for pid in pids)
    lines = (line for text in texts for line in text.splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def machine_busy_seconds() -> float:
    """CPU seconds that anything on this machine has used."""
    numbers = [int(word) for word in _read(PROC / "stat").split()[1:9]]
    idle, waiting = numbers[3:5]
    return (sum(numbers) - idle - waiting) / TICKS


def _stat(pid: int) -> list[str]:
    """Read a process's fields after its name in parentheses; empty once it ended."""
    return _read(PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
