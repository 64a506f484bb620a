"""Group commit: threads that store at the same time share one transaction.

Leader and followers, without a thread of its own: whoever finds nobody leading waits
for the turn to write, takes everything that queued up meanwhile, writes it, and hands
the lead to the next in line. What is written is its user's business.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from threading import Lock
from typing import Generic, TypeVar

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


class _Entry(Generic[Item, Result]):
    """One caller's item on its way into a transaction."""

    __slots__ = ("error", "item", "results", "signal", "state", "until")

    def __init__(self, item: Item, until: float) -> None:
        self.item = item
        self.until = until
        self.state = _State.WAITING
        #: The one result, once there is one.
        self.results: tuple[Result, ...] = ()
        self.error: StoreUnavailable | None = None
        # A bare lock wakes one thread at a fraction of an Event's cost.
        self.signal = Lock()
        self.signal.acquire()

    def wake(self) -> None:
        # A leader may come here unasked, with its time over or as the first.
        if self.signal.locked():
            self.signal.release()

    def result(self) -> Result:
        if not self.results:
            reason = "nothing was stored" if self.error is None else self.error.reason
            # A new one: an exception raised in several threads mixes their tracebacks.
            raise StoreUnavailable(reason) from self.error
        return self.results[0]


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
        self._waiting: deque[_Entry[Item, Result]] = deque()
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
        entry: _Entry[Item, Result] = _Entry(item, time.monotonic() + timeout)
        with self._mutex:
            self._waiting.append(entry)
            is_first = not self._is_led
            if is_first:
                self._is_led = True
                entry.state = _State.LEADING
        if not is_first:
            self._follow(entry)
        if entry.state is _State.LEADING:
            self._lead(entry)
        return entry.result()

    def _follow(self, entry: _Entry[Item, Result]) -> None:
        """Wait to be done, or to be told to lead."""
        if entry.signal.acquire(timeout=max(0.0, entry.until - time.monotonic())):
            return
        with self._mutex:
            if entry.state is _State.WAITING:
                self._waiting.remove(entry)
                return
            if entry.state is _State.LEADING:
                return
        if entry.state is _State.TAKEN and not entry.signal.acquire(timeout=GRACE):
            raise StoreUnavailable("the commit did not end in time")

    def _lead(self, entry: _Entry[Item, Result]) -> None:
        """Write for everybody who waits, then hand over."""
        batch: list[_Entry[Item, Result]] = []
        try:
            timeout = entry.until - time.monotonic()
            with self._database.write(timeout) as tx:
                batch = self._take()
                results = self._write(tx, [one.item for one in batch])
            _finish(batch, results)
        except Refused as error:
            self._write_singly(batch or [entry], error)
        except StoreUnavailable as error:
            _fail(batch or [entry], error)
        finally:
            self._hand_over(entry, batch)

    def _take(self) -> list[_Entry[Item, Result]]:
        with self._mutex:
            size = min(LIMIT, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            for one in batch:
                one.state = _State.TAKEN
            return batch

    def _write_singly(
        self, batch: Sequence[_Entry[Item, Result]], error: StoreUnavailable
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
        self, entry: _Entry[Item, Result], batch: Sequence[_Entry[Item, Result]]
    ) -> None:
        """Leave nobody waiting for a leader who is gone, whatever happened to it."""
        _fail(
            [one for one in batch if one.state is not _State.DONE],
            StoreUnavailable("the commit broke off"),
        )
        with self._mutex:
            if entry in self._waiting:
                self._waiting.remove(entry)
            if not self._waiting:
                self._is_led = False
                return
            follower = self._waiting[0]
            follower.state = _State.LEADING
            follower.wake()


def _finish(batch: Sequence[_Entry[Item, Result]], results: Sequence[Result]) -> None:
    for one, result in zip(batch, results, strict=True):
        one.results = (result,)
        one.state = _State.DONE
        one.wake()


def _fail(batch: Sequence[_Entry[Item, Result]], error: StoreUnavailable) -> None:
    for one in batch:
        one.error = error
        one.state = _State.DONE
        one.wake()
