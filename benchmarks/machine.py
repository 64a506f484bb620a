"""What the benchmark ran on."""

import os
import platform
import statistics
import time
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any

from benchmarks import disk

CORES = 2


def confine() -> int:
    """Keep this process and all it starts on two cores; returns how many there are."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return len(cores)


def describe(folder: Path) -> dict[str, Any]:
    """Name processor, versions and the disk that a folder is on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "disk": _file_system(folder),
        "fdatasync_ms": _fdatasync_ms(folder),
        "versions": {
            name: version(name)
            for name in ("gunicorn", "flask", "requests", "sqlalchemy")
        },
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    """Find the file system of the longest mount point above a folder."""
    found = ("", "unknown")
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, point, kind = line.split()[:3]
        if folder.resolve().is_relative_to(point) and len(point) > len(found[0]):
            found = (point, kind)
    return found[1]


def _fdatasync_ms(folder: Path) -> float:
    """Measure what one small durable write costs, the median of 100."""
    path, took = folder / "fdatasync", []
    with FileIO(path, "w") as file:
        for _ in range(100):
            began = time.perf_counter()
            disk.write(file)
            took.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return round(statistics.median(took), 3)
