"""PostgreSQL as one process sees it: one connection to write, others to read."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore
from typing import Any

import psycopg
from psycopg.pq import Conninfo, TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, InvalidValue, Transaction, host_clock
from bridge.store.listener import CHANNEL, NotifyListener, is_pooled
from bridge.store.store import Store
from bridge.store.types import new_id

#: Connections of a process that read, beside the one that writes: a console page of
#: several seconds must not keep a webhook from being stored.
READERS = 2
#: Milliseconds until the kernel gives a silent connection up, on both sides.
_SILENCE_MS = 8000
#: What every connection is opened with unless the URL says otherwise. No `options`:
#: PgBouncer rejects them.
_SETTINGS: Mapping[str, Any] = {
    "connect_timeout": 3,
    "application_name": "reward-bridge",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": _SILENCE_MS,
}
#: Milliseconds after which the server ends a transaction whose process is gone, asleep
#: or cut off: others wait for the rows it holds.
_IDLE_MS = 15_000
#: Milliseconds for one statement that only reads.
_READ_MS = 10_000
#: Seconds between two tries to begin while the database cannot be reached.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
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

#: Seconds to ask the server to end the statement of a killed greenlet.
_CANCEL_SECONDS = 1.0
#: How a connection is that can be rolled back.
_USABLE = (
    TransactionStatus.IDLE,
    TransactionStatus.INTRANS,
    TransactionStatus.INERROR,
)

#: Classes of errors that are about what a statement carried (SQLSTATE): its values,
#: the tables' constraints, the tables themselves, the limits of a row.
_INVALID = ("22", "23", "42", "54")
#: Those whose first line may quote a value.
_QUOTING = ("22", "23", "54")


class PostgresStore(Store):
    """One PostgreSQL database as one process sees it; connected at first use.

    Args:
        url: Where it is.
        clock: Supplies the store's time in place of the database.
    """

    def __init__(self, url: URL, clock: Callable[[], datetime] | None) -> None:
        self._engine = _engine(url)
        self._clock = clock
        self._writers = BoundedSemaphore(1)
        self._readers = BoundedSemaphore(READERS)
        self._own = new_id()
        self._listener = NotifyListener(self._connect, self._own)
        #: The database's time, and when it was read by the monotonic clock.
        self._read_at = host_clock(), time.monotonic()

    def now(self) -> datetime:
        """Tell the database's time, counted on from the last transaction."""
        if self._clock is not None:
            return self._clock()
        then, at = self._read_at
        return then + timedelta(seconds=time.monotonic() - at)

    def exists(self) -> bool:
        """Tell that there is one: this program does not make it."""
        return True

    @contextmanager
    def write(self, timeout: float = TIMEOUT) -> Iterator[Transaction]:
        """Open a transaction that may write; see `Store`.

        `timeout` limits the wait for its turn, and again for each row of others. Where
        the connection is lost in the middle of the commit, it may have been kept.
        """
        until = time.monotonic() + timeout
        begin = _WRITE.format(wait=max(1, int(1000 * timeout)))
        with _held(self._writers, until), self._transaction(begin, until) as tx:
            yield tx
            notify = f"NOTIFY {CHANNEL}, '{self._own}'; " if tx.notify_workers else ""
            with translated():
                _driver(tx.connection).execute(f"{notify}COMMIT")

    def _create(self) -> None:
        """Do nothing: this program does not make it."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that only reads; see `Store`."""
        until = time.monotonic() + TIMEOUT
        with _held(self._readers, until), self._transaction(_READ, until) as tx:
            yield tx

    def has_changed(self) -> bool:
        """Tell whether another process may have given this one something to do."""
        return self._listener.has_notifications()

    def _lock_for_migration(self, tx: Transaction) -> None:
        """Keep others from migrating until the transaction ends."""
        tx.connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))

    def truncate_wal(self) -> None:
        """Do nothing: PostgreSQL's log is its own."""

    def checkpoint_wal(self) -> None:
        """Do nothing: PostgreSQL does."""

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        self._listener.close()
        self._engine.dispose()

    @contextmanager
    def _transaction(self, begin: str, until: float) -> Iterator[Transaction]:
        """Begin, and roll back what the block did not commit."""
        connection, now = self._begin(begin, until)
        driver = _driver(connection)
        try:
            with translated():
                yield Transaction(connection, now, clock=self._asking(driver))
        finally:
            _give_back(connection, driver)

    def _begin(self, begin: str, until: float) -> tuple[Connection, datetime]:
        """Begin, and wait for a database that is away for a moment only."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._try_to_begin(begin)
            except InvalidValue:
                raise
            except StoreUnavailable:
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try_to_begin(self, begin: str) -> tuple[Connection, datetime]:
        with translated():
            connection = self._engine.connect()
            driver = _driver(connection)
            try:
                cursor = driver.execute(begin)
                while cursor.nextset():
                    pass
                row = cursor.fetchone()
            except BaseException:
                _give_back(connection, driver)
                raise
        if row is not None:
            self._read_at = row[0].astimezone(UTC), time.monotonic()
        return connection, self._read_at[0] if self._clock is None else self._clock()

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
            *positional, **{**_SETTINGS, **named, "autocommit": True}
        )
        return connection  # type: ignore[no-any-return] # psycopg's, as the URL asks


def known_parameters() -> set[str]:
    """List the parameters that libpq knows, which a URL may have."""
    return {one.keyword.decode() for one in Conninfo.get_defaults()}


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of SQLAlchemy and psycopg into the store's own.

    Raises:
        StoreUnavailable: In place of any of them.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _ours(getattr(error, "orig", None) or error) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidValue("a value has no form in the database") from error
    except psycopg.Error as error:
        raise _ours(error) from error


def _engine(url: URL) -> Engine:
    """Make an engine; it connects when used."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Transactions are begun by hand, together with asking for the time.
        isolation_level="AUTOCOMMIT",
        pool_size=READERS + 1,
        max_overflow=0,
        pool_use_lifo=True,
        # There is one for each that is let in.
        pool_timeout=1,
        connect_args={
            name: value for name, value in _SETTINGS.items() if name not in url.query
        },
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "invalidate", _cancel)
    return engine


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    driver: Any = connection
    driver.execute("SET TIME ZONE 'UTC'")
    if is_pooled(driver):
        # The next transaction may run in another session, which has not prepared it.
        driver.prepare_threshold = None


def _cancel(connection: DBAPIConnection, _record: object, _error: object) -> None:
    """End what a killed greenlet left running: it would go on and keep its locks."""
    driver: Any = connection
    if driver.info.transaction_status is TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            driver.cancel_safe(timeout=_CANCEL_SECONDS)


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    """Reach the driver's connection below SQLAlchemy's."""
    found: Any = connection.connection.driver_connection
    return found  # type: ignore[no-any-return] # `_engine` makes no other kind


@contextmanager
def _held(places: BoundedSemaphore, until: float) -> Iterator[None]:
    """Hold a place among those of this process that use the database.

    Raises:
        StoreUnavailable: There was none in time.
    """
    if not places.acquire(timeout=max(0.0, until - time.monotonic())):
        raise StoreUnavailable(
            "other threads of this process used the database all the time"
        )
    try:
        yield
    finally:
        places.release()


def _give_back(connection: Connection, driver: "psycopg.Connection[Any]") -> None:
    """Return a connection to the pool, what is open in it rolled back."""
    is_usable = driver.info.transaction_status in _USABLE
    with translated():
        # Where SQLAlchemy noticed first it has done so, and must not be asked again:
        # it would connect anew.
        if not is_usable and not connection.invalidated:
            connection.invalidate()
        connection.close()


def _ours(error: BaseException) -> StoreUnavailable:
    state = getattr(error, "sqlstate", None) or ""
    is_invalid = isinstance(error, (psycopg.DataError, psycopg.ProgrammingError))
    kind = (
        InvalidValue if is_invalid or state.startswith(_INVALID) else StoreUnavailable
    )
    return kind(f"database: {_cause(error, state)}")


def _cause(error: BaseException, state: str) -> str:
    """Say what failed without the values a statement carried."""
    if not isinstance(error, psycopg.Error) or state.startswith(_QUOTING):
        return type(error).__name__
    if state:
        return str(error.diag.message_primary)
    if isinstance(error, psycopg.OperationalError):
        # Of connecting, once for each address; the first says enough.
        return re.sub(r"\s+", " ", str(error).strip().splitlines()[0])
    return type(error).__name__
