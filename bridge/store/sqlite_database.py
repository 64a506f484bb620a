"""SQLite as one process sees it: one file, one writer at a time."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, Tx, translated
from bridge.store.locks import FileLock
from bridge.store.sqlite import (
    LONG,
    checkpoint,
    data_version,
    driver_of,
    engine_of,
    identity_of,
    is_busy,
    writer_of,
)


class SqliteDatabase:
    """One SQLite file as one process sees it; opened at first use.

    Args:
        path: The file.
        clock: Supplies the store's time.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._path = path
        self._clock = clock
        self._engine = engine_of(self._path)
        self._turn = Lock()
        self._queue = FileLock(self._path.with_name(self._path.name + ".lock"))
        #: The one connection that writes. It is kept, because taking one from the pool
        #: costs as much as a statement, and because `data_version` counts the commits
        #: of every connection but its own.
        self._writer: Connection | None = None
        self._version = 0
        #: Which file the writer has open, by device and inode.
        self._file: tuple[int, int] | None = None
        self._is_forking = False

    def now(self) -> datetime:
        """Tell the store's time, which is this machine's."""
        return self._clock()

    def lock_for_migration(self, tx: Tx) -> None:
        """Do nothing: who writes is alone anyhow."""

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self._path.exists()

    @contextmanager
    def write(self, timeout: float = TIMEOUT) -> Iterator[Tx]:
        """Open a transaction that may write; commit it at the end of the block.

        Args:
            timeout: Seconds to wait for the turn to write.

        Raises:
            StoreUnavailable: It could not begin in time, or failed; nothing of it
                was kept.
        """
        until = time.monotonic() + timeout
        with translated(), self._exclusive(until):
            connection = self._begin(until)
            try:
                with connection.begin():
                    yield Tx(connection, self._clock())
            except (SQLAlchemyError, sqlite3.Error):
                self._drop_writer()
                raise

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a transaction that sees one moment of the database and only reads.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        with translated(), self._engine.connect() as connection:
            driver_of(connection).execute("BEGIN")
            try:
                yield Tx(connection, self._clock())
            finally:
                connection.rollback()

    def has_changed(self) -> bool:
        """Tell whether somebody else committed since the last call.

        Commits made through `write` of the same store do not count. True also when it
        cannot be told: who then reads or writes will learn why.
        """
        try:
            with translated(), self._turn_within(TIMEOUT):
                before, now = self._version, data_version(self._writing())
        except StoreUnavailable:
            return True
        self._version = now
        return before != now

    def empty_log(self) -> None:
        """Take over into the file what is in its log, and cut the log off.

        What somebody still reads there stays for a later time.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        until = time.monotonic() + TIMEOUT
        with translated(), self._exclusive(until):
            driver_of(self._writing()).execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shorten_log(self) -> None:
        """Take over into the file what is in its log, if that has become long.

        Who commits would do it otherwise, and keep all who write waiting. Here they
        wait only while the little is taken over that is written meanwhile; after that
        the log begins anew.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        with translated(), self._engine.connect() as connection:
            pages = checkpoint(connection)
        if pages < LONG:
            return
        until = time.monotonic() + TIMEOUT
        with translated(), self._exclusive(until):
            checkpoint(self._writing())

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        with self._turn:
            self._close()

    def before_fork(self) -> None:
        """Close everything: SQLite forbids carrying an open database over a fork.

        The kernel's locks stay with the parent, so the child would believe that it
        holds what it does not, and lose the write-ahead log to the last one out.
        """
        self._is_forking = self._turn.acquire(timeout=TIMEOUT)
        if self._is_forking:
            self._close()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on, in the parent or in the child."""
        if is_child:
            # What another thread of the parent was in the middle of stays the parent's.
            self._turn, self._writer = Lock(), None
            self._engine.dispose(close=False)
            self._queue.close()
        elif self._is_forking:
            self._turn.release()

    def _close(self) -> None:
        self._drop_writer()
        self._engine.dispose()
        self._queue.close()

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
        """Keep everybody else from writing."""
        with self._turn_within(until - time.monotonic()):
            self._enqueue(until)
            try:
                yield
            finally:
                self._queue.release()

    def _enqueue(self, until: float) -> None:
        try:
            is_ours = self._queue.acquire(until)
        except OSError as error:
            raise StoreUnavailable(f"lock file: {error.strerror}") from error
        if not is_ours:
            raise StoreUnavailable("another process was writing all the time")

    def _begin(self, until: float) -> Connection:
        """Begin at once as a writer: an upgrade from reading could fail half-way."""
        connection = self._writing()
        if identity_of(self._path) != self._file:
            self._drop_writer()
            self._engine.dispose()
            raise StoreUnavailable("database: the file was replaced or removed")
        while True:
            try:
                driver_of(connection).execute("BEGIN IMMEDIATE")
                return connection
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= until:
                    self._drop_writer()
                    raise

    def _writing(self) -> Connection:
        if self._writer is None:
            try:
                self._writer = writer_of(self._engine, self._path)
            except OSError as error:
                raise StoreUnavailable(f"database: {error.strerror}") from error
            self._version = data_version(self._writer)
            self._file = identity_of(self._path)
        return self._writer

    def _drop_writer(self) -> None:
        """Forget a connection that failed: its file may have been replaced."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()
