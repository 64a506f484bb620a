"""What the store asks of a database: transactions, and word of others' commits.

Every foreign error leaves as `StoreUnavailable`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Row
from sqlalchemy.exc import OperationalError, SQLAlchemyError, StatementError

from bridge.errors import StoreUnavailable

#: Seconds a write waits for its turn when its caller names no time.
TIMEOUT = 4.0

#: A row of whatever columns a statement asked for.
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"


class Refused(StoreUnavailable):
    """The database took the statement and refused what was in it."""


@dataclass(slots=True)
class Tx:
    """One transaction."""

    connection: Connection
    #: The store's clock when the transaction began, in UTC.
    now: datetime
    #: True where other processes should look at the queue once it is committed.
    is_news: bool = False
    #: Asks the database for the time again; None where it stands still meanwhile.
    clock: Callable[[], datetime] | None = None

    def moment(self) -> datetime:
        """Tell the store's clock now, which may be later than at the beginning."""
        return self.now if self.clock is None else self.clock()

    @property
    def is_shared(self) -> bool:
        """Tell whether other transactions may write at the same time."""
        return self.connection.dialect.name != "sqlite"


def host_clock() -> datetime:
    """Read this machine's clock, which is SQLite's too."""
    return datetime.fromtimestamp(time.time(), UTC)


class Database(Protocol):
    """One database as one process sees it; opened at first use."""

    def now(self) -> datetime:
        """Tell the store's time between transactions, without asking the database."""
        ...

    def exists(self) -> bool:
        """Tell whether there is a database, without making one."""
        ...

    def write(self, timeout: float = TIMEOUT) -> AbstractContextManager[Tx]:
        """Open a transaction that may write; commit it at the end of the block.

        Args:
            timeout: Seconds to wait for the turn to write.

        Raises:
            StoreUnavailable: It could not begin in time, or failed; nothing of it
                was kept.
        """
        ...

    def read(self) -> AbstractContextManager[Tx]:
        """Open a transaction that sees one moment of the database and only reads.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        ...

    def has_changed(self) -> bool:
        """Tell whether somebody else committed since the last call.

        What is written through the same object does not count. True also when it
        cannot be told: who then reads or writes will learn why.
        """
        ...

    def lock_for_migration(self, tx: Tx) -> None:
        """Keep others from migrating until the transaction ends."""
        ...

    def empty_log(self) -> None:
        """Leave nothing in a log beside the database, as far as readers let us.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        ...

    def shorten_log(self) -> None:
        """Have a log beside the database begin anew, if it has become long.

        Most of that is done while others write.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        ...

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        ...

    def before_fork(self) -> None:
        """Let go of what must not be carried over a fork."""
        ...

    def after_fork(self, *, is_child: bool) -> None:
        """Go on, in the parent or in the child."""
        ...


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of SQLAlchemy and its drivers into the store's own.

    Raises:
        StoreUnavailable: In place of any of them.
    """
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        raise StoreUnavailable(f"database: {_cause(error)}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        # The driver's own conversions fail with these, unwrapped by SQLAlchemy.
        raise Refused("a value has no form in the database") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        kind = Refused if isinstance(error, StatementError) else StoreUnavailable
        raise kind(f"database: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Say what failed without the values a statement carried."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, (sqlite3.OperationalError, sqlite3.DatabaseError)):
        return str(original).splitlines()[0]
    return type(original).__name__
