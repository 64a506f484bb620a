"""Arrivals stored, those that come at the same time in one transaction."""

from typing import TypeAlias

from bridge.model import Arrival, Stored
from bridge.store.arrivals import write_arrivals
from bridge.store.database import TIMEOUT, Database
from bridge.store.grouping import Grouping, Ticket

#: An arrival, and the id of the stored event that is decided again with it.
Entry: TypeAlias = tuple[Arrival, str | None]


class Commits:
    """Stores arrivals.

    Args:
        database: Where to.
    """

    def __init__(self, database: Database) -> None:
        self._group = Grouping(database, write_arrivals)

    def forget_threads(self) -> None:
        """Start with nobody waiting, as in the child of a fork."""
        self._group.forget_threads()

    @property
    def waiting(self) -> int:
        """Count the arrivals that wait for a transaction to take them."""
        return self._group.waiting

    def add(
        self, arrival: Arrival, *, timeout: float = TIMEOUT, again: str | None = None
    ) -> Stored:
        """Store one arrival; it is on disk when this returns.

        Args:
            arrival: What was received and decided.
            timeout: Seconds until it counts as not stored.
            again: Id of the stored event that is decided again; None for a new one.

        Raises:
            StoreUnavailable: It was not stored in time. Only when its commit was
                already under way then may it be found stored later.
        """
        return self.enlist(arrival, timeout=timeout, again=again).wait()

    def enlist(
        self, arrival: Arrival, *, timeout: float = TIMEOUT, again: str | None = None
    ) -> Ticket[Entry, Stored]:
        """Queue one arrival for the next transaction, as `add` does, without waiting.

        Nothing is written before somebody waits, so that one thread can queue several
        and have them share a transaction. Every ticket must be waited for.
        """
        return self._group.enlist((arrival, again), timeout)
