"""Retention: what is old enough is blanked, then removed, in small steps.

It runs beside the deliveries, in a thread of its own. A step holds the write lock for
some milliseconds and is followed by a rest many times as long, so that webhooks and
deliveries do not feel it. How old is too old, the configuration says.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Event, Thread

from bridge import log as logs
from bridge.config import Retention as Settings
from bridge.errors import StoreUnavailable
from bridge.store import Store, Tx, new_id

log = logs.get(__name__)

#: Between two sweeps, and so the most by which something is kept too long.
EVERY = timedelta(hours=1)
#: How long a process that died in the middle keeps others from going on.
TURN = timedelta(minutes=2)
#: How long a step should hold the write lock, in seconds: about what a few webhooks do.
HOLD = 0.004
#: Least rest between two steps, in seconds, and how many times a step's length.
REST, RESTS = 0.03, 12
#: Stories changed in the first step, and at most in one.
STORIES, MOST_STORIES = 4, 50
#: Keys or reports removed in one step: each is a small thing to do.
KEYS = 50
#: Rows looked at in one transaction that only reads.
LOOK = 200
#: Seconds a step waits for its turn to write.
PATIENCE = 1.0

_TURN = "retention"


class Retention:
    """Sweeps the ledger from its oldest story to the youngest that is old enough.

    Any number of processes may have one; they take turns.

    Args:
        settings: How old is too old.
        store: What is swept.
        stop: Set to end.
    """

    def __init__(self, settings: Settings, store: Store, stop: Event) -> None:
        self._settings = settings
        self._store = store
        self._stop = stop
        self._name = new_id()
        self._kept_at = 0.0
        self._size = STORIES

    def start(self) -> Thread | None:
        """Sweep from now on, in a thread; none is needed where all is kept."""
        if not self._settings.is_on:
            return None
        thread = Thread(target=self._run, name=_TURN, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while not self._stop.is_set():
            # The one place that catches everything: a bug here must not end what
            # others rely on, nor go unheard.
            try:
                for rest in self.sweep():
                    if self._stop.wait(rest):
                        return
                continue
            except StoreUnavailable:
                pass  # the coordinator says so
            except Exception:
                log.exception("retention.failed")
            self._stop.wait(TURN.total_seconds())

    def sweep(self) -> Iterator[float]:
        """Do all there is to do, where it is this process's turn.

        Yields:
            After each step, and at the end, how many seconds to rest.

        Raises:
            StoreUnavailable: The database cannot be read or written.
        """
        self._kept_at = 0.0
        if not self._keep_turn(TURN):
            yield TURN.total_seconds()
            return
        counts = {"blanked": 0, "removed": 0, "keys": 0, "reports": 0}
        retiring = self._store.retiring
        for name, age, work in (
            ("removed", self._settings.remove_after, retiring.remove),
            ("blanked", self._settings.blank_after, retiring.blank),
        ):
            if age is not None:
                yield from self._stories(counts, name, age, work)
        yield from self._keys(counts)
        yield from self._reports(counts)
        if any(counts.values()):
            log.info("retention.done", **counts)
        # Whoever starts within the hour finds it done.
        self._keep_turn(EVERY)
        yield EVERY.total_seconds()

    def _stories(
        self,
        counts: dict[str, int],
        name: str,
        age: timedelta,
        work: Callable[[Tx, Sequence[str], datetime], list[str]],
    ) -> Iterator[float]:
        after: str | None = None
        while True:
            with self._store.read() as tx:
                before = tx.now - age
                page = self._store.retiring.old_events(
                    tx, before, after=after, most=LOOK, whole=name == "blanked"
                )
            left = list(page.events)
            while left:
                batch, left = left[: self._size], left[self._size :]
                began = time.monotonic()
                with self._store.write(PATIENCE) as tx:
                    began = time.monotonic()
                    counts[name] += len(work(tx, batch, before))
                yield self._rest(time.monotonic() - began)
            after = page.after
            if after is None:
                return
            yield REST
            if not self._keep_turn(TURN):
                return

    def _keys(self, counts: dict[str, int]) -> Iterator[float]:
        after: tuple[str, str] | None = None
        while True:
            with self._store.read() as tx:
                page = self._store.retiring.old_keys(tx, after=after, most=LOOK)
            for start in range(0, len(page.expired), KEYS):
                with self._store.write(PATIENCE) as tx:
                    batch = page.expired[start : start + KEYS]
                    counts["keys"] += self._store.retiring.remove_keys(tx, batch)
                yield REST
            after = page.after
            if after is None:
                return
            yield REST
            if not self._keep_turn(TURN):
                return

    def _reports(self, counts: dict[str, int]) -> Iterator[float]:
        """Remove reports that fit no delivery; those that do go with its story."""
        both = (self._settings.blank_after, self._settings.remove_after)
        ages = [one for one in both if one is not None]
        done = KEYS
        while ages and done == KEYS:
            with self._store.write(PATIENCE) as tx:
                retiring = self._store.retiring
                done = retiring.remove_unmatched(tx, tx.now - min(ages), KEYS)
            counts["reports"] += done
            yield REST
            if not self._keep_turn(TURN):
                return

    def _rest(self, held: float) -> float:
        """Learn from a step how large the next may be, and how long to rest."""
        fitting = int(self._size * HOLD / max(held, HOLD / 2))
        self._size = min(max(1, fitting), MOST_STORIES)
        return max(REST, RESTS * held)

    def _keep_turn(self, span: timedelta) -> bool:
        """Take the turn, or keep it; asked often, written seldom."""
        now = time.monotonic()
        if span == TURN and self._kept_at and now < self._kept_at + span.seconds / 4:
            return True
        with self._store.write(PATIENCE) as tx:
            is_ours = self._store.take_turn(tx, _TURN, self._name, span)
        self._kept_at = now if is_ours else 0.0
        return is_ours
