"""The bridge on a PostgreSQL, which several of its processes may share."""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks import postgres, programs
from benchmarks.programs import Program, Settings
from bridge.store import open_store


def bridge(settings: Settings, folder: Path, *, delivers: bool) -> Program:
    """Make `reward-bridge serve` on a PostgreSQL of its own."""
    return _on_postgres(programs.bridge(settings, folder, delivers=delivers), folder)


def on_file(settings: Settings, folder: Path, *, delivers: bool) -> Program:
    """Make the same on a SQLite file, to compare with."""
    program = programs.bridge(settings, folder, delivers=delivers)
    return replace(program, name="bridge on SQLite")


def workers(settings: Settings, folder: Path, *, count: int) -> Program:
    """Make one that receives, with so many workers beside it."""
    program = programs.bridge(settings, folder, delivers=False)
    worker = (
        *(sys.executable, "-m", "bridge", "worker"),
        *("--config", str(folder / "config.yaml")),
        *("--threads", str(settings.threads)),
    )
    command = [sys.executable, "-m", "benchmarks.several", "--", *program.command]
    for _ in range(count):
        command += ["--", *worker]
    name = program.name if count > 1 else "one worker"
    whole = replace(program, name=name, command=tuple(command))
    return _on_postgres(whole, folder)


def _on_postgres(program: Program, folder: Path) -> Program:
    """Have a server started and ended with a program; its tables are made already."""
    cluster = postgres.cluster(folder)
    with postgres.running(cluster), closing(open_store(cluster.url)) as store:
        store.migrate()
    return replace(
        program,
        command=(
            *(sys.executable, "-m", "benchmarks.postgres"),
            *(*cluster.words(), *program.command),
        ),
        environment={**program.environment, "DATABASE_URL": cluster.url},
    )
