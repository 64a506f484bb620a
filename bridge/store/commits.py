"""Arrivals stored, those that come at the same time in one transaction."""

from bridge.model import Arrival, Stored
from bridge.store.arrivals import write_arrivals
from bridge.store.database import TIMEOUT, Database
from bridge.store.grouping import Grouping


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
        return self._group.add((arrival, again), timeout)
