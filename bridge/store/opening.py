"""From a URL to the database it names."""

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.errors import ConfigError, Problem
from bridge.store.database import Database, host_clock
from bridge.store.sqlite_database import SqliteDatabase

_SQLITE = "sqlite"
#: What PostgreSQL's users call it; Heroku the second.
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_WANTED = "must be sqlite:///path/to/file or postgresql://user:password@host/database"


def open_database(url: str, clock: Callable[[], datetime] | None) -> Database:
    """Make the database object for a URL; nothing is opened until it is used.

    Raises:
        ConfigError: The URL names no database this program can use.
    """
    parsed = _parsed(url)
    if parsed.drivername == _SQLITE:
        return SqliteDatabase(_file(parsed), clock or host_clock)
    try:
        # Here, because psycopg is an extra, and costs others memory for nothing.
        module = import_module("bridge.store.postgres_database")
    except ImportError as error:
        fault = "needs psycopg: install reward-bridge[postgres]"
        raise ConfigError([Problem("DATABASE_URL", fault)]) from error
    database: Database = module.PostgresDatabase(parsed, clock)
    return database


def file_of(url: str) -> Path | None:
    """Read which file a URL names; None where the database is a server's.

    Raises:
        ConfigError: It names no database this program can use.
    """
    parsed = _parsed(url)
    return _file(parsed) if parsed.drivername == _SQLITE else None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _refusal(_WANTED) from None
    if parsed.drivername not in (_SQLITE, *_POSTGRES):
        # The name before a "+" is another driver's, which nobody installed.
        raise _refusal(_WANTED)
    if parsed.drivername != _SQLITE and not parsed.database:
        raise _refusal("names no database: postgresql://user:password@host/database")
    return parsed


def _file(parsed: URL) -> Path:
    if parsed.host or parsed.port or parsed.username or parsed.password:
        raise _refusal("a file has no host: write sqlite:///path, with three slashes")
    if parsed.query:
        raise _refusal("takes nothing behind the path of a file")
    if parsed.database in (None, "", ":memory:"):
        raise _refusal("names no file: write sqlite:///path")
    # Absolute, because a later change of directory must not change the database.
    return Path(str(parsed.database)).absolute()


def _refusal(fault: str) -> ConfigError:
    return ConfigError([Problem("DATABASE_URL", fault)])
