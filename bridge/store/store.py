"""The store as one object: the database and the parts that speak SQL to it."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from weakref import WeakSet

from sqlalchemy import inspect

from bridge.store import forgetting, keys_forgotten, retiring, turns
from bridge.store.alarms import Alarms
from bridge.store.commits import Commits
from bridge.store.database import TIMEOUT, Database, Tx
from bridge.store.gates import Gates
from bridge.store.grouping import Grouping, Item, Result
from bridge.store.ledger import Ledger
from bridge.store.migrating import is_current, migrate
from bridge.store.opening import open_database
from bridge.store.queue import Queue
from bridge.store.reports import Reports
from bridge.store.sendings import Sendings

_open: WeakSet["Store"] = WeakSet()


class Store:
    """Everything the bridge remembers.

    Safe to open before a fork and to use after it, from any number of threads. A fork
    inside a transaction is not.

    Attributes:
        commits: Takes what arrives.
        queue: Hands out and takes back what is to be sent.
        gates: May hold deliveries back.
        alarms: Which alerts hold.
        reports: What Iterable reported of its messages.
        sendings: Finds what it was sent.
        ledger: Answers questions, and mends by hand.
        retiring: Blanks and removes what is old.
        forgetting: Finds and takes out what is one person's.
        keys_forgotten: Keeps what is left of that person's keys.
    """

    retiring = retiring
    forgetting = forgetting
    keys_forgotten = keys_forgotten

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gates = Gates()
        self.alarms = Alarms()
        self.queue = Queue()
        self.reports = Reports()
        self.sendings = Sendings()
        self.commits = Commits(database)
        self.ledger = Ledger(database)
        self._groups: list[Grouping[Any, Any]] = []
        _open.add(self)

    def write(self, timeout: float = TIMEOUT) -> AbstractContextManager[Tx]:
        """Open a transaction that writes; commit it at the end of the block.

        Args:
            timeout: Seconds to wait for the turn to write.

        Raises:
            StoreUnavailable: It could not begin in time, or failed; nothing was kept.
        """
        return self._database.write(timeout)

    def read(self) -> AbstractContextManager[Tx]:
        """Open a transaction that sees one moment and only reads.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        return self._database.read()

    def now(self) -> datetime:
        """Tell the database's time, without asking it."""
        return self._database.now()

    def group(
        self, write: Callable[[Tx, Sequence[Item]], Sequence[Result]]
    ) -> Grouping[Item, Result]:
        """Let threads that write at the same time share one transaction.

        Args:
            write: Writes items in their order; returns a result for each.
        """
        group = Grouping(self._database, write)
        self._groups.append(group)
        return group

    def has_changed(self) -> bool:
        """Tell whether another store gave workers something to do since the last call.

        True also when it cannot be told.
        """
        return self._database.has_changed()

    def adopt(self, tx: Tx, route: str, formerly: Sequence[str]) -> None:
        """Bring what waits or is closed under a route's earlier names to its own.

        The keys stay where they are: who asks for them asks under every name.
        """
        if formerly:
            self.queue.rename(tx, route, formerly)
            self.gates.rename(tx, route, formerly)

    def take_turn(self, tx: Tx, name: str, holder: str, span: timedelta) -> bool:
        """Take, or keep, the turn to do what one process at a time shall do.

        Args:
            tx: The transaction.
            name: Of the chore.
            holder: Who asks; one process uses one name.
            span: How long the turn lasts unless it is kept.

        Returns:
            False where somebody else has it.
        """
        return turns.take_turn(tx, name, holder, span)

    def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            StoreUnavailable: It has none.
        """
        with self._database.read() as tx:
            # `SELECT 1` would be answered without a look at the file.
            inspect(tx.connection).get_table_names()

    def migrate(self) -> None:
        """Create or upgrade the tables; nothing happens when they are current.

        Raises:
            ConfigError: The tables need a newer program.
            StoreUnavailable: The database cannot be written.
        """
        migrate(self._database)

    def exists(self) -> bool:
        """Tell whether there is a database, without making one."""
        return self._database.exists()

    def is_current(self) -> bool:
        """Tell whether this program can work with the tables as they are.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        return is_current(self._database)

    def empty_log(self) -> None:
        """Have what was deleted gone from the disk, as far as that is ours to do.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        self._database.empty_log()

    def shorten_log(self) -> None:
        """Keep what is written from growing a log; to be called again and again.

        Raises:
            StoreUnavailable: The database cannot be written.
        """
        self._database.shorten_log()

    def close(self) -> None:
        """Close every connection; another use would open them again."""
        self._database.close()

    def before_fork(self) -> None:
        """Let go of what must not be carried over a fork."""
        self._database.before_fork()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on after a fork."""
        self._database.after_fork(is_child=is_child)
        if is_child:
            self.commits.forget_threads()
            for group in self._groups:
                group.forget_threads()


def _before_fork() -> None:
    for store in list(_open):
        store.before_fork()


def _after_fork(*, is_child: bool) -> None:
    for store in list(_open):
        store.after_fork(is_child=is_child)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=partial(_after_fork, is_child=False),
    after_in_child=partial(_after_fork, is_child=True),
)


def open_store(database_url: str, clock: Callable[[], datetime] | None = None) -> Store:
    """Make a store; nothing is opened until it is used.

    Args:
        database_url: `sqlite:///path` or `postgresql://…`.
        clock: Supplies the time in place of the database's own clock, which is the
            machine's on SQLite.

    Raises:
        ConfigError: The URL names no database this program can use.
    """
    return Store(open_database(database_url, clock))
