"""PostgreSQL as one process sees it: one connection, which its threads take in turn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, text

from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, Refused, Tx, host_clock
from bridge.store.listening import CHANNEL, Listener
from bridge.store.postgres import SETTINGS, driver_of, engine_of, translated
from bridge.store.reconnecting import Outage

#: Milliseconds after which the server ends a transaction whose process is gone, asleep
#: or cut off: others wait for the rows it holds.
_IDLE_MS = 15_000
#: Milliseconds for a statement that only reads: commits wait for its connection.
_READ_MS = 3000
#: Names our lock among those of other programs on the database.
_MIGRATING = 0x72776272

# One message each way for all of it: these come with every transaction.
_WRITE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    "SET LOCAL lock_timeout = {wait}; "
    f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_MS}; "
    "SELECT clock_timestamp()"
)
_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
    f"SET LOCAL statement_timeout = {_READ_MS}; "
    f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_MS}; "
    "SELECT clock_timestamp()"
)
_TELL = f"NOTIFY {CHANNEL}; COMMIT"


class PostgresDatabase:
    """One PostgreSQL database as one process sees it; connected at first use.

    Args:
        url: Where it is.
        clock: Supplies the store's time in place of the database.
    """

    def __init__(self, url: URL, clock: Callable[[], datetime] | None) -> None:
        self._engine = engine_of(url)
        self._clock = clock
        self._turn = Lock()
        self._outage = Outage()
        self._listener = Listener(self._connect)
        #: The server process behind the connection.
        self._pid: int | None = None
        #: The database's time, and when it was read by the monotonic clock.
        self._read_at = host_clock(), time.monotonic()
        self._is_forking = False

    def now(self) -> datetime:
        """Tell the database's time, counted on from the last transaction."""
        if self._clock is not None:
            return self._clock()
        then, at = self._read_at
        return then + timedelta(seconds=time.monotonic() - at)

    def exists(self) -> bool:
        """Tell that there is one: making it is not ours to do."""
        return True

    @contextmanager
    def write(self, timeout: float = TIMEOUT) -> Iterator[Tx]:
        """Open a transaction that may write; commit it at the end of the block.

        Args:
            timeout: Seconds to wait for the turn to write, and for the rows of others.

        Raises:
            StoreUnavailable: It could not begin in time, or failed. Nothing of it was
                kept, unless the connection was lost in the middle of the commit.
        """
        until = time.monotonic() + timeout
        begin = _WRITE.format(wait=max(1, int(1000 * timeout)))
        with self._transaction(begin, until) as tx:
            yield tx
            with translated():
                driver_of(tx.connection).execute(_TELL if tx.is_news else "COMMIT")

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a transaction that sees one moment of the database and only reads.

        Raises:
            StoreUnavailable: The database cannot be read, or not in time.
        """
        with self._transaction(_READ, time.monotonic() + TIMEOUT) as tx:
            yield tx

    def has_changed(self) -> bool:
        """Tell whether another process may have given this one something to do."""
        return self._listener.has_heard(self._pid)

    def lock_for_migration(self, tx: Tx) -> None:
        """Keep others from migrating until the transaction ends."""
        tx.connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))

    def empty_log(self) -> None:
        """Do nothing: PostgreSQL's log is its own."""

    def shorten_log(self) -> None:
        """Do nothing: PostgreSQL does."""

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        with self._turn:
            self._close()

    def before_fork(self) -> None:
        """Close everything: two processes must not talk over one connection."""
        self._is_forking = self._turn.acquire(timeout=TIMEOUT)
        if self._is_forking:
            self._close()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on, in the parent or in the child."""
        if is_child:
            self._turn, self._outage = Lock(), Outage()
            self._engine.dispose(close=False)
        elif self._is_forking:
            self._turn.release()

    def _close(self) -> None:
        self._listener.close()
        self._engine.dispose()

    @contextmanager
    def _transaction(self, begin: str, until: float) -> Iterator[Tx]:
        """Take the connection, begin, and roll back what the block did not commit."""
        if not self._turn.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StoreUnavailable("another thread used the database all the time")
        try:
            connection, now = self._begin(begin, until)
            driver = driver_of(connection)
            try:
                with translated():
                    yield Tx(connection, now, clock=self._asking(driver))
            finally:
                _give_back(connection, driver)
        finally:
            self._turn.release()

    def _begin(self, begin: str, until: float) -> tuple[Connection, datetime]:
        """Begin, and wait for a database that is away for a moment only."""
        while True:
            self._outage.demand_try()
            try:
                begun = self._try_to_begin(begin)
            except Refused:
                raise
            except StoreUnavailable as error:
                pause = self._outage.note_failure(error.reason)
                if pause is None or time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
            else:
                self._outage.note_success()
                return begun

    def _try_to_begin(self, begin: str) -> tuple[Connection, datetime]:
        with translated():
            connection = self._engine.connect()
            driver = driver_of(connection)
            try:
                now = self._started(driver, begin)
            except BaseException:
                _give_back(connection, driver)
                raise
        return connection, now

    def _started(self, driver: "psycopg.Connection[Any]", begin: str) -> datetime:
        cursor = driver.execute(begin)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        self._pid = driver.info.backend_pid
        if row is not None:
            self._read_at = row[0].astimezone(UTC), time.monotonic()
        return self._read_at[0] if self._clock is None else self._clock()

    def _asking(
        self, driver: "psycopg.Connection[Any]"
    ) -> Callable[[], datetime] | None:
        """Make what asks for the time once more within a transaction."""
        if self._clock is not None:
            return None

        def ask() -> datetime:
            row = driver.execute("SELECT clock_timestamp()").fetchone()
            return host_clock() if row is None else row[0].astimezone(UTC)

        return ask

    def _connect(self) -> "psycopg.Connection[Any]":
        """Open a connection beside the pool."""
        dialect, url = self._engine.dialect, self._engine.url
        positional, named = dialect.create_connect_args(url)
        connection: Any = dialect.connect(
            *positional, **{**named, **SETTINGS, "autocommit": True}
        )
        return connection  # type: ignore[no-any-return] # psycopg's, as the URL asks


def _give_back(connection: Connection, driver: "psycopg.Connection[Any]") -> None:
    """Return a connection to the pool, what is open in it rolled back."""
    with translated():
        # Where SQLAlchemy noticed first it has done so, and must not be asked again:
        # it would connect anew.
        if driver.closed and not connection.invalidated:
            connection.invalidate()
        connection.close()
