"""Group commit: what is stored at the same time shares one transaction.

Leader and followers, without a thread of its own: whoever waits and finds nobody
leading waits for the turn to write, takes everything that queued up meanwhile, writes
it, and hands the lead to the next who waits. What is written is its user's business.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from threading import Lock
from typing import Generic, TypeVar

from bridge import metrics
from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, Database, Refused, Tx

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Most items in one transaction; it bounds how long the lock is held.
LIMIT = 64

#: Seconds a follower waits beyond its time for a commit that already holds its rows:
#: refusing what may be written a moment later would have it sent again.
GRACE = 0.9


class _State(Enum):
    WAITING = auto()
    LEADING = auto()
    TAKEN = auto()
    DONE = auto()


class Ticket(Generic[Item, Result]):
    """One caller's item on its way into a transaction.

    Args:
        group: Will write it.
        item: What to store.
        until: Monotonic time at which it counts as not stored.
    """

    __slots__ = (
        "_group",
        "error",
        "is_awaited",
        "item",
        "results",
        "signal",
        "state",
        "until",
    )

    def __init__(
        self, group: "Grouping[Item, Result]", item: Item, until: float
    ) -> None:
        self._group = group
        self.item = item
        self.until = until
        self.state = _State.WAITING
        #: Whether somebody waits for it, and could therefore lead.
        self.is_awaited = False
        #: The one result, once there is one.
        self.results: tuple[Result, ...] = ()
        self.error: StoreUnavailable | None = None
        # A bare lock wakes one thread at a fraction of an Event's cost.
        self.signal = Lock()
        self.signal.acquire()

    def wait(self) -> Result:
        """Return what became of it; it is on disk then.

        Raises:
            StoreUnavailable: It was not stored in time. Only when its commit was
                already under way then may it be found stored later.
        """
        self._group.finish(self)
        if not self.results:
            reason = "nothing was stored" if self.error is None else self.error.reason
            # A new one: an exception raised in several threads mixes their tracebacks.
            raise StoreUnavailable(reason) from self.error
        return self.results[0]

    def wake(self) -> None:
        """Have the one who waits look again."""
        # A leader may come here unasked, with its time over or as the first.
        if self.signal.locked():
            self.signal.release()


class Grouping(Generic[Item, Result]):
    """Stores items of one kind.

    Args:
        database: Where to.
        write: Writes items in their order; returns a result for each.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[Tx, Sequence[Item]], Sequence[Result]],
    ) -> None:
        self._database = database
        self._write = write
        self.forget_threads()

    def forget_threads(self) -> None:
        """Start with nobody waiting, as in the child of a fork."""
        self._mutex = Lock()
        self._waiting: deque[Ticket[Item, Result]] = deque()
        self._is_led = False

    @property
    def waiting(self) -> int:
        """Count the items that wait for a transaction to take them."""
        return len(self._waiting)

    def add(self, item: Item, timeout: float = TIMEOUT) -> Result:
        """Store one item; it is on disk when this returns.

        Args:
            item: What to store.
            timeout: Seconds until it counts as not stored.

        Raises:
            StoreUnavailable: It was not stored in time. Only when its commit was
                already under way then may it be found stored later.
        """
        return self.enlist(item, timeout).wait()

    def enlist(self, item: Item, timeout: float = TIMEOUT) -> Ticket[Item, Result]:
        """Queue one item for the next transaction, as `add` does, without waiting.

        Nothing is written before somebody waits, so that one thread can queue several
        and have them share a transaction. Every ticket must be waited for.
        """
        ticket = Ticket(self, item, time.monotonic() + timeout)
        with self._mutex:
            self._waiting.append(ticket)
        return ticket

    def finish(self, ticket: Ticket[Item, Result]) -> None:
        """Return when a ticket's fate is decided."""
        with self._mutex:
            ticket.is_awaited = True
            if ticket.state is _State.WAITING and not self._is_led:
                self._is_led = True
                ticket.state = _State.LEADING
        if ticket.state is not _State.LEADING:
            self._follow(ticket)
        if ticket.state is _State.LEADING:
            self._lead(ticket)

    def _follow(self, ticket: Ticket[Item, Result]) -> None:
        """Wait to be done, or to be told to lead."""
        if ticket.signal.acquire(timeout=max(0.0, ticket.until - time.monotonic())):
            return
        with self._mutex:
            if ticket.state is _State.WAITING:
                self._waiting.remove(ticket)
                return
            if ticket.state is _State.LEADING:
                return
        if ticket.state is _State.TAKEN and not ticket.signal.acquire(timeout=GRACE):
            raise StoreUnavailable("the commit did not end in time")

    def _lead(self, ticket: Ticket[Item, Result]) -> None:
        """Write for everybody who waits, then hand over."""
        batch: list[Ticket[Item, Result]] = []
        try:
            timeout = ticket.until - time.monotonic()
            with self._database.write(timeout) as tx:
                batch = self._take()
                results = self._write(tx, [one.item for one in batch])
            _finish(batch, results)
        except Refused as error:
            self._write_singly(batch or [ticket], error)
        except StoreUnavailable as error:
            _fail(batch or [ticket], error)
        finally:
            self._hand_over(ticket, batch)

    def _take(self) -> list[Ticket[Item, Result]]:
        with self._mutex:
            size = min(LIMIT, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            for one in batch:
                one.state = _State.TAKEN
            return batch

    def _write_singly(
        self, batch: Sequence[Ticket[Item, Result]], error: StoreUnavailable
    ) -> None:
        """Let one bad item fail alone."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        for one in batch:
            try:
                with self._database.write(one.until - time.monotonic()) as tx:
                    results = self._write(tx, [one.item])
                _finish([one], results)
            except StoreUnavailable as own:
                _fail([one], own)

    def _hand_over(
        self, ticket: Ticket[Item, Result], batch: Sequence[Ticket[Item, Result]]
    ) -> None:
        """Leave nobody waiting for a leader who is gone, whatever happened to it."""
        _fail(
            [one for one in batch if one.state is not _State.DONE],
            StoreUnavailable("the commit broke off"),
        )
        with self._mutex:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            # One that is not awaited yet leads, if it still has to, when it is.
            follower = next((one for one in self._waiting if one.is_awaited), None)
            self._is_led = follower is not None
            if follower is not None:
                follower.state = _State.LEADING
                follower.wake()


def _finish(batch: Sequence[Ticket[Item, Result]], results: Sequence[Result]) -> None:
    metrics.COMMIT_WEBHOOKS.observe(len(batch))
    for one, result in zip(batch, results, strict=True):
        one.results = (result,)
        one.state = _State.DONE
        one.wake()


def _fail(batch: Sequence[Ticket[Item, Result]], error: StoreUnavailable) -> None:
    for one in batch:
        one.error = error
        one.state = _State.DONE
        one.wake()
