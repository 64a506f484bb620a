"""The store as one object: its transactions and tables, whichever database is below."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from sqlalchemy import inspect, text

from bridge.errors import ConfigError, Problem
from bridge.store.database import TIMEOUT, Transaction
from bridge.store.group_commit import GroupCommit, Item, Result
from bridge.store.schema import REVISION

#: Seconds to wait for another process that migrates.
MIGRATION_TIMEOUT = 60.0

_FOLDER = Path(__file__).with_name("migrations")
_TABLE = "alembic_version"
_NAME = re.compile(r"(?P<number>\d{4})(?:-needs-(?P<least>\d{4}))?")


class Store(ABC):
    """Everything the bridge remembers; safe to use from any thread or greenlet.

    A process opens its own: an open store must not be carried over a fork.
    """

    @abstractmethod
    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that sees one moment of the ledger and only reads.

        Raises:
            StoreUnavailable: The database cannot be read.
        """

    @abstractmethod
    def write(self, timeout: float = TIMEOUT) -> AbstractContextManager[Transaction]:
        """Open a transaction that may write; commit it at the end of the block.

        Args:
            timeout: Seconds to wait for the turn to write.

        Raises:
            StoreUnavailable: It could not begin in time, or failed; nothing was kept.
        """

    @abstractmethod
    def now(self) -> datetime:
        """Tell the database's time between transactions, without asking it."""

    @abstractmethod
    def has_changed(self) -> bool:
        """Tell whether another process may have given workers something to do.

        Since the last call; commits through this object do not count. True also when it
        is unknown: the next read or write will say why.
        """

    @abstractmethod
    def exists(self) -> bool:
        """Tell whether there is a database, without making one."""

    @abstractmethod
    def checkpoint_wal(self) -> None:
        """Move SQLite's write-ahead log into the database if it has become long.

        Raises:
            StoreUnavailable: The database cannot be written.
        """

    @abstractmethod
    def truncate_wal(self) -> None:
        """Empty SQLite's write-ahead log, so that deleted rows leave the disk.

        What is still being read there stays for a later time.

        Raises:
            StoreUnavailable: The database cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Close every idle connection; another use opens new ones."""

    @abstractmethod
    def _create(self) -> None:
        """Make the database where there is none and that is ours to do."""

    @abstractmethod
    def _lock_for_migration(self, tx: Transaction) -> None:
        """Keep other processes from migrating until the transaction ends."""

    def group(
        self, write: Callable[[Transaction, Sequence[Item]], Sequence[Result]]
    ) -> GroupCommit[Item, Result]:
        """Let writes that are submitted at the same time share one transaction.

        Args:
            write: Writes items in their order; returns a result for each.
        """
        return GroupCommit(self.write, write)

    def migrate(self) -> None:
        """Create or upgrade the tables; nothing happens when they are current.

        Several processes may call it at once: one works, the others find it done.

        Raises:
            ConfigError: The tables need a newer program.
            StoreUnavailable: The database cannot be written.
        """
        self._create()
        with self.write(MIGRATION_TIMEOUT) as tx:
            self._lock_for_migration(tx)
            found = _revision(tx)
            if found is None or _number(found) < _number(REVISION):
                _run_alembic(tx)
            elif not _is_usable(found):
                fault = f"its tables are at {found}: this program is too old for them"
                raise ConfigError([Problem("DATABASE_URL", fault)])

    def is_current(self) -> bool:
        """Tell whether this program can work with the tables as they are.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        with self.read() as tx:
            found = _revision(tx)
            return found is not None and _is_usable(found)


def _revision(tx: Transaction) -> str | None:
    """Read which migration the tables are at; None for no tables yet."""
    if not inspect(tx.connection).has_table(_TABLE):
        return None
    return tx.connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 - a constant


def _run_alembic(tx: Transaction) -> None:
    # Here, because importing Alembic costs each process of `serve` memory for nothing.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = tx.connection
    command.upgrade(config, "head")


def _number(revision: str) -> int:
    match = _NAME.fullmatch(revision)
    return 0 if match is None else int(match["number"])


def _is_usable(revision: str) -> bool:
    """Tell whether newer tables let this program work: most only add something."""
    match = _NAME.fullmatch(revision)
    if match is None or int(match["number"]) < _number(REVISION):
        return False
    return int(match["least"] or 0) <= _number(REVISION)
