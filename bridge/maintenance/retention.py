"""Redacts, then deletes what is old enough, in steps so small that nothing waits.

A step holds the write lock for a few milliseconds and is followed by a pause about ten
times as long. A sweep takes at most a tenth of the ledger, and after the clock has
leapt by more than a day nothing is swept until an operator resumes `retention`: a wrong
clock must not delete a ledger.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from bridge import logging as logs
from bridge.config import Retention
from bridge.store import (
    Store,
    Transaction,
    alerts,
    circuits,
    jobs,
    leases,
    new_id,
    retention,
)
from bridge.store.database import chunks

log = logs.get(__name__)

#: Name of the lease, of the circuit breaker that stops sweeping, and of its alert.
NAME = "retention"
#: Between two sweeps, and so the longest that something is kept beyond its time.
EVERY = timedelta(hours=1)
#: How long a process that died during a sweep keeps others from going on.
LEASE = timedelta(minutes=2)
#: A longer time since the last sweep is taken for a leap of the clock.
LARGEST_GAP = timedelta(days=1)
#: A sweep redacts, and deletes, at most one event of so many, but may take so few.
SHARE, LEAST = 10, 1_000
#: Events changed in one step, and the pause between two steps in seconds.
STEP, PAUSE = 10, 0.04
#: Keys or receipts deleted in one step.
SMALL_ROWS = 50
#: Rows looked at in one transaction that only reads.
LOOK = 200
#: Seconds a step waits for its turn to write.
TIMEOUT = 1.0

_Work = Callable[[Transaction, Sequence[str], datetime], int]


class RetentionSweeper:
    """Sweeps the ledger from its oldest event on; any number of processes take turns.

    Args:
        settings: How old is too old.
        store: What is swept.
    """

    def __init__(self, settings: Retention, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._owner = new_id()
        self._renewed_at = 0.0

    def run(self) -> Iterator[float]:
        """Sweep again and again; yields the seconds to wait after each step.

        Raises:
            StoreUnavailable: The database cannot be read or written.
        """
        while True:
            yield from self.sweep()

    def sweep(self) -> Iterator[float]:
        """Sweep once, where it is allowed and no other process does.

        Raises:
            StoreUnavailable: The database cannot be read or written.
        """
        with self._store.write(TIMEOUT) as tx:
            is_ours = _may_sweep(tx) and self._renew(tx, LEASE)
            now = tx.now
        if not is_ours:
            yield LEASE.total_seconds()
            return
        with self._store.read() as tx:
            most = max(LEAST, retention.count_events(tx) // SHARE)
        counts = {"deleted": 0, "redacted": 0, "keys": 0, "receipts": 0}
        for name, age, work in (
            ("deleted", self._settings.delete_after, retention.delete),
            ("redacted", self._settings.redact_after, retention.redact),
        ):
            if age is not None:
                before = now - age
                yield from self._sweep_events(
                    counts, name, before=before, most=most, work=work
                )
        yield from self._sweep_keys(counts)
        yield from self._sweep_receipts_and_jobs(counts, now)
        if any(counts.values()):
            log.info("retention.done", **counts)
        # A process that starts within the hour finds it done.
        with self._store.write(TIMEOUT) as tx:
            self._renew(tx, EVERY)
        yield EVERY.total_seconds()

    def _sweep_events(
        self,
        counts: dict[str, int],
        name: str,
        *,
        before: datetime,
        most: int,
        work: _Work,
    ) -> Iterator[float]:
        after: str | None = None
        while counts[name] < most and self._is_still_ours():
            with self._store.read() as tx:
                page = retention.old_events(
                    tx, before, after=after, limit=LOOK, is_whole=name == "redacted"
                )
            for batch in chunks(page.ids[: most - counts[name]], STEP):
                with self._store.write(TIMEOUT) as tx:
                    counts[name] += work(tx, batch, before)
                yield PAUSE
            yield PAUSE
            if (after := page.after) is None:
                return

    def _sweep_keys(self, counts: dict[str, int]) -> Iterator[float]:
        after: tuple[str, str] | None = None
        while self._is_still_ours():
            with self._store.read() as tx:
                page = retention.expired_keys(tx, after=after, limit=LOOK)
            for batch in chunks(page.ids, SMALL_ROWS):
                with self._store.write(TIMEOUT) as tx:
                    counts["keys"] += retention.delete_keys(tx, batch)
                yield PAUSE
            yield PAUSE
            if (after := page.after) is None:
                return

    def _sweep_receipts_and_jobs(
        self, counts: dict[str, int], now: datetime
    ) -> Iterator[float]:
        """Delete what belongs to no event: unmatched receipts, and ended bulk jobs."""
        both = (self._settings.redact_after, self._settings.delete_after)
        before = now - min(one for one in both if one is not None)
        with self._store.write(TIMEOUT) as tx:
            jobs.delete_ended(tx, before)
        done = SMALL_ROWS
        while done == SMALL_ROWS and self._is_still_ours():
            with self._store.write(TIMEOUT) as tx:
                done = retention.delete_unmatched_receipts(tx, before, SMALL_ROWS)
            counts["receipts"] += done
            yield PAUSE

    def _is_still_ours(self) -> bool:
        """Renew the lease; asked often, written seldom."""
        if time.monotonic() < self._renewed_at + LEASE.total_seconds() / 4:
            return True
        with self._store.write(TIMEOUT) as tx:
            return self._renew(tx, LEASE)

    def _renew(self, tx: Transaction, span: timedelta) -> bool:
        self._renewed_at = time.monotonic()
        return leases.acquire(tx, NAME, self._owner, span)


def _may_sweep(tx: Transaction) -> bool:
    """Refuse while an operator pauses it, and after a leap of the clock: pause then."""
    circuit = circuits.get(tx, NAME)
    if not circuit.is_running:
        return False
    # What an operator resumed is not stopped again for the same leap.
    seen = filter(None, (retention.last_sweep(tx, NAME), circuit.closed_at))
    gap = tx.now - max(seen, default=tx.now)
    if gap <= LARGEST_GAP:
        alerts.set_firing(tx, NAME, None)
        return True
    reason = (
        f"the clock is {gap.days} days after the last sweep: nothing is redacted or "
        f"deleted. If {tx.now:%Y-%m-%d %H:%M} UTC is right, resume {NAME}"
    )
    circuits.pause(tx, NAME, reason)
    alerts.set_firing(tx, NAME, reason)
    log.warning("retention.paused", reason=reason)
    return False
