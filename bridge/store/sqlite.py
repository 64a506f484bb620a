"""SQLite as one process sees it: one file, one writer at a time."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, Transaction, translated
from bridge.store.file_lock import FileLock
from bridge.store.store import Store

#: How long a statement waits for SQLite's own lock, in milliseconds. Readers need it
#: only while another process recovers the log of a crashed one.
_BUSY_MS = 2000
#: The same for the connection that writes. It blocks the whole process, so `BEGIN` is
#: tried again instead, with a sleep between. Our programs queue on the lock file; this
#: is for those that do not know it, such as the `sqlite3` shell.
_BEGIN_BUSY_MS = 10
_BEGIN_PAUSE = 0.01

#: From how many pages of 4096 bytes on a write-ahead log counts as long.
LONG_WAL = 1000
#: At how many pages a commit checkpoints by itself, where nothing else does it.
_TOO_LONG_WAL = 8 * LONG_WAL

_SETTINGS = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    # Promise 1: what is committed is on disk, power loss included.
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    # What is redacted or deleted is overwritten, not only unlinked.
    "PRAGMA secure_delete = ON",
    f"PRAGMA wal_autocheckpoint = {_TOO_LONG_WAL}",
    "PRAGMA journal_size_limit = 67108864",
)
_Value = TypeVar("_Value")
#: Starts a function beside the caller, in a native thread; returns what waits for its
#: end: `lambda function: threadpool.spawn(function).get`.
Start: TypeAlias = Callable[[Callable[[], None]], Callable[[], object]]

#: Where a connection keeps which file it has open.
_FILE = "file"


class SqliteStore(Store):
    """One SQLite file as one process sees it; opened at first use.

    Args:
        path: The file.
        clock: Supplies the store's time.
        start: Starts what blocks beside the caller; None to block the caller.
    """

    def __init__(
        self, path: Path, clock: Callable[[], datetime], start: Start | None = None
    ) -> None:
        self._path = path
        self._clock = clock
        self._start = start
        self._engine = _engine(path)
        self._readers = _engine(path)
        if start is not None:
            event.listen(self._readers, "do_execute", self._execute_beside)
        self._turn = Lock()
        self._queue = FileLock(path.with_name(path.name + ".lock"))
        #: The one connection that writes. It is kept, because taking one from the pool
        #: costs as much as a statement, and because `data_version` counts the commits
        #: of every connection but its own.
        self._writer: Connection | None = None
        self._version = 0

    def now(self) -> datetime:
        """Tell the store's time, which is this machine's."""
        return self._clock()

    def _lock_for_migration(self, tx: Transaction) -> None:
        """Do nothing: a transaction that writes is alone anyhow."""

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self._path.exists()

    @contextmanager
    def write(self, timeout: float = TIMEOUT) -> Iterator[Transaction]:
        """Open a transaction that may write; see `Store`."""
        until = time.monotonic() + timeout
        with translated(), self._exclusive(until):
            connection = self._begin(until)
            try:
                yield Transaction(connection, self._clock())
                self._run(_driver(connection).commit)
                # There is nothing left to commit: this tells SQLAlchemy.
                connection.commit()
            except (SQLAlchemyError, sqlite3.Error):
                self._drop_writer()
                raise
            except BaseException:
                connection.rollback()
                raise

    def _create(self) -> None:
        # Names and codes of customers are in it: for its owner alone. A file that is
        # there is not opened: closing any descriptor of a file ends every POSIX lock
        # the process has on it, and SQLite would lose its locks unawares.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            with suppress(FileExistsError):
                os.close(os.open(self._path, flags, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"database: {error.strerror}") from error

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that only reads; see `Store`."""
        with translated(), self._readers.connect() as connection:
            self._check_file(connection)
            _driver(connection).execute("BEGIN")
            try:
                yield Transaction(connection, self._clock())
            finally:
                connection.rollback()

    def has_changed(self) -> bool:
        """Tell whether another process or store committed since the last call."""
        try:
            with translated(), self._turn_within(TIMEOUT):
                before, now = self._version, _data_version(self._writing())
        except StoreUnavailable:
            return True
        self._version = now
        return before != now

    def truncate_wal(self) -> None:
        """Move the write-ahead log into the file, and cut it off.

        What is still being read there stays for a later time.
        """
        with translated(), self._exclusive(time.monotonic() + TIMEOUT):
            self._run(partial(_checkpoint, self._writing(), "TRUNCATE"))

    def checkpoint_wal(self) -> None:
        """Move the write-ahead log into the file if it has become long.

        A commit would do it otherwise, and keep all writers waiting. Here they wait
        only while the little is moved that is written meanwhile; after that the log
        begins anew.
        """
        with translated(), self._readers.connect() as connection:
            pages = self._run(partial(_checkpoint, connection, "PASSIVE"))
        if pages < LONG_WAL:
            return
        with translated(), self._exclusive(time.monotonic() + TIMEOUT):
            self._run(partial(_checkpoint, self._writing(), "PASSIVE"))

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        with self._turn:
            self._drop_writer()
            self._engine.dispose()
            self._readers.dispose()
            self._queue.close()

    def _run(
        self, blocking: Callable[[], _Value], stop: Callable[[], None] | None = None
    ) -> _Value:
        """Run what blocks, beside the caller where that is possible.

        It has ended when this returns or raises: a greenlet that is killed meanwhile
        has to wait, or what it holds would be released too early.
        """
        if self._start is None:
            return blocking()
        done: list[_Value] = []
        failed: list[sqlite3.Error] = []

        def run() -> None:
            try:
                done.append(blocking())
            except sqlite3.Error as error:
                failed.append(error)

        wait = self._start(run)
        try:
            wait()
        except BaseException:
            if stop is not None:
                stop()
            wait()
            raise
        if failed:
            raise failed[0]
        return done[0]

    def _execute_beside(
        self, cursor: sqlite3.Cursor, statement: str, values: Any, _context: object
    ) -> bool:
        """Execute a statement of a reader without blocking the process."""
        self._run(
            partial(cursor.execute, statement, values), cursor.connection.interrupt
        )
        return True

    @contextmanager
    def _turn_within(self, seconds: float) -> Iterator[None]:
        """Keep the other threads of this process from writing."""
        if not self._turn.acquire(timeout=max(0.0, seconds)):
            raise StoreUnavailable("another thread was writing all the time")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _exclusive(self, until: float) -> Iterator[None]:
        """Keep every other thread and process from writing."""
        with self._turn_within(until - time.monotonic()):
            if not self.exists():
                # Before the lock file: nothing is made beside a file that is not there.
                self._drop_writer()
                raise StoreUnavailable("database: there is no such file")
            try:
                is_ours = self._queue.acquire(until)
            except OSError as error:
                raise StoreUnavailable(f"lock file: {error.strerror}") from error
            if not is_ours:
                raise StoreUnavailable("another process was writing all the time")
            try:
                yield
            finally:
                self._queue.release()

    def _begin(self, until: float) -> Connection:
        """Begin at once as a writer: an upgrade from reading could fail half-way."""
        connection = self._writing()
        while True:
            try:
                _driver(connection).execute("BEGIN IMMEDIATE")
                return connection
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= until:
                    self._drop_writer()
                    raise
            time.sleep(_BEGIN_PAUSE)

    def _writing(self) -> Connection:
        if self._writer is None:
            self._writer = self._engine.connect()
            try:
                driver = _driver(self._writer)
                driver.execute(f"PRAGMA busy_timeout = {_BEGIN_BUSY_MS}")
                driver.execute("PRAGMA journal_mode = WAL")
                self._version = _data_version(self._writer)
            except sqlite3.Error:
                self._drop_writer()
                raise
        try:
            self._check_file(self._writer)
        except StoreUnavailable:
            self._drop_writer()
            raise
        return self._writer

    def _check_file(self, connection: Connection) -> None:
        """Raise where the path leads to another file than the connection has open."""
        if connection.info[_FILE] != _identity(self._path):
            connection.invalidate()
            self._readers.dispose()
            raise StoreUnavailable("database: the file was replaced or removed")

    def _drop_writer(self) -> None:
        """Forget a connection that failed: its file may have been replaced."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()


def _engine(path: Path) -> Engine:
    """Make an engine; it connects when used, and never makes the file."""
    engine = create_engine(
        "sqlite://", creator=partial(_connect, path), poolclass=QueuePool
    )
    event.listen(engine, "connect", partial(_prepare, path))
    return engine


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        # Transactions are begun by hand, at once as reader or as writer.
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(path: Path, connection: sqlite3.Connection, record: Any) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)
    record.info[_FILE] = _identity(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell which file a path leads to now, by device and inode; None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _driver(connection: Connection) -> sqlite3.Connection:
    """Reach the driver's connection below SQLAlchemy's."""
    found: Any = connection.connection.driver_connection
    return found  # type: ignore[no-any-return] # `_connect` makes no other kind


def _data_version(connection: Connection) -> int:
    """Read a number that changes when another connection commits."""
    return int(_driver(connection).execute("PRAGMA data_version").fetchone()[0])


def _checkpoint(connection: Connection, mode: str) -> int:
    """Move the log into the file; return its pages, -1 for no log."""
    row = _driver(connection).execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return int(row[1])


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Tell whether another connection holds SQLite's own lock."""
    # The lowest byte is the plain code below the extended one.
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
