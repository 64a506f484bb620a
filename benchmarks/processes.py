"""What a process tree used, read from /proc (Linux)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
#: Share of one core that others may use on a machine that counts as calm.
CALM = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Sums over a process tree, in bytes."""

    #: Shared pages counted once, divided among those who share them.
    pss: int
    #: Shared pages counted in every process.
    rss: int


def tree(root: int) -> list[int]:
    """List a process and all its descendants."""
    found = [root]
    for pid in found:
        for task in PROC.glob(f"{pid}/task/*/children"):
            found += map(int, _read(task).split())
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Sum user and system time, children that have ended included."""
    ticks = 0
    for pid in pids:
        # The name in parentheses may hold blanks; the rest starts with field 3.
        fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def memory(pids: list[int]) -> Memory:
    pss = rss = 0
    for pid in pids:
        for line in _read(PROC / str(pid) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1]) * 1024
            elif line.startswith("Rss:"):
                rss += int(line.split()[1]) * 1024
    return Memory(pss=pss, rss=rss)


def machine_busy_seconds() -> float:
    """CPU seconds that anything on this machine has used."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, _read(PROC / "stat").split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def wait_for_calm(seconds: float) -> None:
    """Wait, but no longer than that, until little else runs on this machine."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        busy = machine_busy_seconds()
        time.sleep(1)
        if machine_busy_seconds() - busy < CALM:
            return


def _read(path: Path) -> str:
    """Read a file of /proc; empty once its process has gone."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
