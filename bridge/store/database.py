"""A transaction, and the errors of a database in the store's own words."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import islice
from typing import Any, TypeAlias, TypeVar, get_args, get_type_hints

from sqlalchemy import ColumnElement, Connection, Delete, Row, Update
from sqlalchemy.exc import OperationalError, SQLAlchemyError, StatementError

from bridge.errors import StoreUnavailable
from bridge.store.schema import MAX_IN_VALUES

#: Seconds a write waits for its turn when its caller names no time.
TIMEOUT = 4.0

#: A row of whatever columns a statement asked for.
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"

_Value = TypeVar("_Value")


class InvalidValue(StoreUnavailable):
    """The database took the statement and rejected a value in it."""


@dataclass(slots=True)
class Transaction:
    """One transaction; every function of the store takes it first."""

    connection: Connection
    #: The store's clock when the transaction began, UTC.
    now: datetime
    #: Set to True where other processes should look at the queue after the commit.
    notify_workers: bool = False
    #: Asks the database for the time again; None where `now` is good enough.
    clock: Callable[[], datetime] | None = None

    def current_time(self) -> datetime:
        """Read the store's clock now, which may be later than at the beginning."""
        return self.now if self.clock is None else self.clock()

    @property
    def is_concurrent(self) -> bool:
        """Tell whether other transactions may write at the same time."""
        return self.connection.dialect.name != "sqlite"


def host_clock() -> datetime:
    """Read this machine's clock, which is SQLite's too."""
    return datetime.fromtimestamp(time.time(), UTC)


def chunks(
    values: Iterable[_Value], size: int = MAX_IN_VALUES
) -> Iterator[list[_Value]]:
    """Cut values into lists short enough for one `IN`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def execute_chunks(
    tx: Transaction,
    statement: Update | Delete,
    column: ColumnElement[Any],
    values: Iterable[str],
) -> int:
    """Run an UPDATE or DELETE for every row whose column is one of the values.

    Returns:
        How many rows it changed.
    """
    return sum(
        tx.connection.execute(statement.where(column.in_(chunk))).rowcount
        for chunk in chunks(values)
    )


def as_type(row: AnyRow, kind: Callable[..., _Value], **others: Any) -> _Value:
    """Make a dataclass of a row's columns of the same names, and of other values.

    A column whose field is an enum (or None) is read as one.
    """
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    values = {name: found[name] for name in _fields(kind) if name in found}
    for name, enum in _enums(kind).items():
        if values.get(name) is not None:
            values[name] = enum(values[name])
    return kind(**values | others)


def duration_of(row: AnyRow) -> timedelta:
    """Read the length of an attempt's call."""
    return timedelta(microseconds=row.duration_us)


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


@cache
def _enums(kind: Any) -> dict[str, type[StrEnum]]:
    return {
        name: one
        for name, hint in get_type_hints(kind).items()
        for one in (hint, *get_args(hint))
        if isinstance(one, type) and issubclass(one, StrEnum)
    }


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of SQLAlchemy and sqlite3 into the store's own.

    Raises:
        StoreUnavailable: In place of any of them.
    """
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        raise StoreUnavailable(f"database: {_cause(error)}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        # The driver's own conversions fail with these, unwrapped by SQLAlchemy.
        raise InvalidValue("a value has no form in the database") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        kind = InvalidValue if isinstance(error, StatementError) else StoreUnavailable
        raise kind(f"database: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Say what failed without the values a statement carried."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, (sqlite3.OperationalError, sqlite3.DatabaseError)):
        return str(original).splitlines()[0]
    return type(original).__name__
