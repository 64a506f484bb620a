"""What is SQLite's own: the file, its settings, its driver's errors."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

#: How long a statement waits for a lock, in milliseconds. Readers need it only while
#: somebody recovers the log of a crashed process.
_BUSY_MS = 2000
#: The same for `BEGIN IMMEDIATE`, which is asked again until the write's own time is
#: over. Programs of ours queue on the lock file; this is for those that do not know it,
#: such as the `sqlite3` shell.
_BEGIN_BUSY_MS = 100

#: How long a log is long, in pages of 4096 bytes.
LONG = 1000
#: The same for who commits while nobody else shortens it.
_TOO_LONG = 8 * LONG

_SETTINGS = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    # Promise 1: what is committed is on disk, power loss included.
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    # What is blanked or removed is overwritten, not only forgotten.
    "PRAGMA secure_delete = ON",
    f"PRAGMA wal_autocheckpoint = {_TOO_LONG}",
    "PRAGMA journal_size_limit = 67108864",
)


def engine_of(path: Path) -> Engine:
    """Make an engine; it connects when used."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # Transactions are begun by hand, at once as reader or as writer.
        connect_args={"isolation_level": None, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)


def writer_of(engine: Engine, path: Path) -> Connection:
    """Open a connection to write through, and the file where there is none.

    Raises:
        OSError: The file cannot be made.
        SQLAlchemyError: It cannot be opened.
        sqlite3.Error: It is no database.
    """
    # People's names and codes are in it: nobody else's to read. Only a file that is not
    # there yet is opened here: closing any descriptor of a file ends every POSIX lock
    # the process has on it, and SQLite's other connections would lose theirs unawares.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = engine.connect()
    try:
        driver = driver_of(connection)
        driver.execute(f"PRAGMA busy_timeout = {_BEGIN_BUSY_MS}")
        driver.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error:
        connection.invalidate()
        connection.close()
        raise
    return connection


def identity_of(path: Path) -> tuple[int, int] | None:
    """Tell which file a path leads to now; None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Reach the driver's connection below SQLAlchemy's."""
    found: Any = connection.connection.driver_connection
    return found  # type: ignore[no-any-return] # `engine_of` makes no other kind


def data_version(connection: Connection) -> int:
    """Read a number that changes when another connection commits."""
    return int(driver_of(connection).execute("PRAGMA data_version").fetchone()[0])


def checkpoint(connection: Connection) -> int:
    """Take over into the file what is in its log, but wait for nobody.

    Returns:
        How many pages the log has, those taken over included; -1 without a log.
    """
    row = driver_of(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(row[1])


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Tell whether somebody else holds SQLite's own lock."""
    # The lowest byte is the plain code below the extended one.
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
