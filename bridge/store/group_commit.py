"""Group commit: writes that are submitted at the same time share one transaction.

Leader and followers, without a thread of its own: the first that waits leads. It waits
for the turn to write, takes everything that queued up meanwhile, writes it, and hands
the lead to the next that waits. What is written is its user's business.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from threading import Lock
from typing import Generic, TypeVar

from bridge import metrics
from bridge.errors import StoreUnavailable
from bridge.store.database import TIMEOUT, InvalidValue, Transaction

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Most items in one transaction; it bounds how long the lock is held.
LIMIT = 64

#: Seconds a follower waits beyond its time for a commit that already holds its rows:
#: a 503 for what may be stored a moment later would have it sent again.
GRACE = 0.9


class _State(Enum):
    WAITING = auto()
    LEADING = auto()
    TAKEN = auto()
    DONE = auto()


class PendingWrite(Generic[Item, Result]):
    """One submitted item on its way into a transaction; it must be waited for.

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
        self, group: "GroupCommit[Item, Result]", item: Item, until: float
    ) -> None:
        self._group = group
        self.item = item
        self.until = until
        self.state = _State.WAITING
        #: True once a caller waits for it, and could therefore lead.
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
        """Have its waiter look again."""
        # A leader may come here without being woken: with its time over, or first.
        if self.signal.locked():
            self.signal.release()


class GroupCommit(Generic[Item, Result]):
    """Stores items of one kind.

    Args:
        begin: Opens a transaction within so many seconds, as `Store.write` does.
        write: Writes items in their order; returns a result for each.
    """

    def __init__(
        self,
        begin: Callable[[float], AbstractContextManager[Transaction]],
        write: Callable[[Transaction, Sequence[Item]], Sequence[Result]],
    ) -> None:
        self._begin = begin
        self._write = write
        self._mutex = Lock()
        self._waiting: deque[PendingWrite[Item, Result]] = deque()
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
            StoreUnavailable: As for `PendingWrite.wait`.
        """
        return self.submit(item, timeout).wait()

    def submit(
        self, item: Item, timeout: float = TIMEOUT
    ) -> PendingWrite[Item, Result]:
        """Queue one item for the next transaction, without waiting.

        Nothing is written before a caller waits, so one thread can submit several and
        have them share a transaction.
        """
        pending = PendingWrite(self, item, time.monotonic() + timeout)
        with self._mutex:
            self._waiting.append(pending)
        return pending

    def finish(self, pending: PendingWrite[Item, Result]) -> None:
        """Return when it is decided what becomes of an item."""
        with self._mutex:
            pending.is_awaited = True
            if pending.state is _State.WAITING and not self._is_led:
                self._is_led = True
                pending.state = _State.LEADING
        if pending.state is not _State.LEADING:
            self._follow(pending)
        if pending.state is _State.LEADING:
            self._lead(pending)

    def _follow(self, pending: PendingWrite[Item, Result]) -> None:
        """Wait to be done, or to become the leader."""
        try:
            self._wait_for_signal(pending)
        except BaseException:
            # A killed greenlet must not be waited for, and leaves the lead to another.
            with self._mutex:
                pending.is_awaited = False
                if pending.state is _State.WAITING:
                    self._waiting.remove(pending)
            if pending.state is _State.LEADING:
                self._hand_over(pending, ())
            raise

    def _wait_for_signal(self, pending: PendingWrite[Item, Result]) -> None:
        left = pending.until - time.monotonic()
        if pending.signal.acquire(timeout=max(0.0, left)):
            return
        with self._mutex:
            if pending.state is _State.WAITING:
                self._waiting.remove(pending)
            if pending.state is not _State.TAKEN:
                return
        if not pending.signal.acquire(timeout=GRACE):
            raise StoreUnavailable("the commit did not end in time")

    def _lead(self, pending: PendingWrite[Item, Result]) -> None:
        """Write all that waits, then hand over."""
        batch: list[PendingWrite[Item, Result]] = []
        try:
            timeout = pending.until - time.monotonic()
            with self._begin(timeout) as tx:
                batch = self._take(pending)
                results = self._write(tx, [one.item for one in batch])
            _finish(batch, results)
        except InvalidValue as error:
            self._write_singly(batch or [pending], error)
        except StoreUnavailable as error:
            _fail(batch or [pending], error)
        finally:
            self._hand_over(pending, batch)

    def _take(
        self, leader: PendingWrite[Item, Result]
    ) -> list[PendingWrite[Item, Result]]:
        """Take what waits, in its order: so many, and the leader's own at any rate."""
        with self._mutex:
            size = max(LIMIT, self._waiting.index(leader) + 1)
            size = min(size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            for one in batch:
                one.state = _State.TAKEN
            return batch

    def _write_singly(
        self, batch: Sequence[PendingWrite[Item, Result]], error: StoreUnavailable
    ) -> None:
        """Let one bad item fail alone."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        for one in batch:
            try:
                with self._begin(one.until - time.monotonic()) as tx:
                    results = self._write(tx, [one.item])
                _finish([one], results)
            except StoreUnavailable as own:
                _fail([one], own)

    def _hand_over(
        self,
        pending: PendingWrite[Item, Result],
        batch: Sequence[PendingWrite[Item, Result]],
    ) -> None:
        """Leave no item waiting for a leader that is gone, whatever happened to it."""
        _fail(
            [one for one in batch if one.state is not _State.DONE],
            StoreUnavailable("the commit broke off"),
        )
        with self._mutex:
            if pending in self._waiting:
                self._waiting.remove(pending)
            # One that is not awaited yet leads, if it still has to, when it is.
            follower = next((one for one in self._waiting if one.is_awaited), None)
            self._is_led = follower is not None
            if follower is not None:
                follower.state = _State.LEADING
                follower.wake()


def _finish(
    batch: Sequence[PendingWrite[Item, Result]], results: Sequence[Result]
) -> None:
    metrics.record_commit(len(batch))
    for one, result in zip(batch, results, strict=True):
        one.results = (result,)
        one.state = _State.DONE
        one.wake()


def _fail(batch: Sequence[PendingWrite[Item, Result]], error: StoreUnavailable) -> None:
    for one in batch:
        one.error = error
        one.state = _State.DONE
        one.wake()
