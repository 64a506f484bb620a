"""What is PostgreSQL's own: the URL, connecting, its driver's errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreUnavailable
from bridge.store.database import Refused

#: Seconds until a server that does not answer counts as away.
CONNECT_SECONDS = 3
#: Milliseconds until the kernel gives a silent connection up, on both sides: while it
#: hangs, whoever waits for a commit is kept waiting.
_SILENCE_MS = 8000
#: What every connection is opened with. No `options`: PgBouncer refuses them.
SETTINGS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "reward-bridge",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": _SILENCE_MS,
}

#: Classes of errors that are about what a statement carried (SQLSTATE): its values,
#: the tables' constraints, the tables themselves, the limits of a row.
_REFUSALS = ("22", "23", "42", "54")
#: Those whose first line may quote a value.
_QUOTING = ("22", "23", "54")


def engine_of(url: URL) -> Engine:
    """Make an engine of one connection; it connects when used."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Transactions are begun by hand, together with asking for the time.
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=0,
        # Its one user at a time is seen to elsewhere.
        pool_timeout=1,
        pool_pre_ping=True,
        connect_args=dict(SETTINGS),
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    driver: Any = connection
    driver.execute("SET TIME ZONE 'UTC'")
    if is_pooled(driver):
        # The next transaction may run in another session, which has not prepared it.
        driver.prepare_threshold = None


def is_pooled(driver: "psycopg.Connection[Any]") -> bool:
    """Tell whether a pooler such as PgBouncer stands between us and the server.

    It introduces itself with a number of its own in place of the server process's.
    """
    row = driver.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != driver.info.backend_pid


def driver_of(connection: Connection) -> "psycopg.Connection[Any]":
    """Reach the driver's connection below SQLAlchemy's."""
    found: Any = connection.connection.driver_connection
    return found  # type: ignore[no-any-return] # `engine_of` makes no other kind


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
        raise Refused("a value has no form in the database") from error
    except psycopg.Error as error:
        raise _ours(error) from error


def _ours(error: BaseException) -> StoreUnavailable:
    state = getattr(error, "sqlstate", None) or ""
    refusal = isinstance(error, (psycopg.DataError, psycopg.ProgrammingError))
    kind = Refused if refusal or state.startswith(_REFUSALS) else StoreUnavailable
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
