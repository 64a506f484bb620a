"""The ledger: the only package that speaks SQL, and no foreign error leaves it.

`open_store` goes from a database URL to the store. The modules beside it are functions
whose first argument is the transaction: `queue.claim(tx, …)`.
"""

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.errors import ConfigError, Problem
from bridge.store.database import InvalidValue, Transaction, host_clock
from bridge.store.group_commit import GroupCommit, PendingWrite
from bridge.store.sqlite import SqliteStore, Start
from bridge.store.store import Store
from bridge.store.types import as_id, earliest_id, new_id

__all__ = [
    "GroupCommit",
    "InvalidValue",
    "PendingWrite",
    "Start",
    "Store",
    "Transaction",
    "as_id",
    "earliest_id",
    "file_of",
    "ledger_name",
    "new_id",
    "open_store",
]

_SQLITE = "sqlite"
#: PostgreSQL's names; the second is Heroku's.
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_EXPECTED = "must be sqlite:///path/to/file or postgresql://user:password@host/database"


def open_store(
    database_url: str,
    clock: Callable[[], datetime] | None = None,
    *,
    start: Start | None = None,
) -> Store:
    """Make a store; nothing is opened until it is used.

    Args:
        database_url: `sqlite:///path` or `postgresql://…`.
        clock: Supplies the time in place of the database's own clock, which is the
            machine's on SQLite.
        start: For processes of greenlets: starts a function in a native thread and
            returns what waits for its end (`lambda f: threadpool.spawn(f).get`).
            SQLite's commits and reads then block no other greenlet, so that writes
            come together in a group commit at all.

    Raises:
        ConfigError: The URL names no database this program can use. No part of a
            password is in its text.
    """
    parsed = _parsed(database_url)
    if parsed.drivername == _SQLITE:
        return SqliteStore(_file(parsed), clock or host_clock, start)
    try:
        # Here, because psycopg is an extra, and costs others memory for nothing.
        module = import_module("bridge.store.postgres")
    except ImportError as error:
        fault = "needs psycopg: install reward-bridge[postgres]"
        raise ConfigError([Problem("DATABASE_URL", fault)]) from error
    unknown = sorted(set(parsed.query) - module.known_parameters())
    if unknown:
        raise _rejected(f"has unknown parameters: {', '.join(unknown)}")
    store: Store = module.PostgresStore(parsed, clock)
    return store


def file_of(url: str) -> Path | None:
    """Read which file a URL names; None where the database is a server's.

    Raises:
        ConfigError: It names no database this program can use.
    """
    parsed = _parsed(url)
    return _file(parsed) if parsed.drivername == _SQLITE else None


def ledger_name(url: str) -> str:
    """Name a ledger in texts: the file, or host and database without user or password.

    Raises:
        ConfigError: The URL names no database this program can use.
    """
    parsed = _parsed(url)
    if parsed.drivername == _SQLITE:
        return str(_file(parsed))
    shown = URL.create(
        "postgresql", host=parsed.host, port=parsed.port, database=parsed.database
    )
    return shown.render_as_string()


def _parsed(url: str) -> URL:
    if not url.startswith(_SQLITE):
        _check_user_and_password(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _rejected(_EXPECTED) from None
    if parsed.drivername not in (_SQLITE, *_POSTGRES):
        # The name before a "+" is another driver's, which is not installed.
        raise _rejected(_EXPECTED)
    if parsed.drivername != _SQLITE and not parsed.database:
        raise _rejected("names no database: postgresql://user:password@host/database")
    return parsed


def _check_user_and_password(url: str) -> None:
    """Reject what would have a part of the password taken for host or database.

    It would be shown in every error about that host.
    """
    _, _, rest = url.partition("://")
    secret, at, others = rest.partition("@")
    if "@" in others or (at and set(secret) & set("/?#")):
        raise _rejected(
            "has @, /, ? or # in user or password: write %40, %2F, %3F or %23"
        )


def _file(parsed: URL) -> Path:
    if parsed.host or parsed.port or parsed.username or parsed.password:
        raise _rejected("a file has no host: write sqlite:///path, with three slashes")
    if parsed.query:
        raise _rejected("takes nothing behind the path of a file")
    if parsed.database in (None, "", ":memory:"):
        raise _rejected("names no file: write sqlite:///path")
    # Absolute, because a later change of directory must not change the database.
    return Path(str(parsed.database)).absolute()


def _rejected(fault: str) -> ConfigError:
    return ConfigError([Problem("DATABASE_URL", fault)])
