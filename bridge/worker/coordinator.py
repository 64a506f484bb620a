"""Round after round until told to stop, then a drain.

A round is one transaction: settle what came back, look at the gates, claim what is due.
"""

import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event

from bridge import log as logs
from bridge.config import Config
from bridge.dispatch import Result
from bridge.errors import StoreUnavailable, ThreadDiedError
from bridge.gatekeeper import Gatekeeper, Probe, Probed, shut_routes
from bridge.model import Claim, Gate
from bridge.senders import ALL, Senders, Task
from bridge.store import Presence, Store, Tx
from bridge.verification import Check, Checked
from bridge.worker.claiming import Claiming
from bridge.worker.doubting import Doubting
from bridge.worker.narrowing import Narrowing, level_of
from bridge.worker.telling import count, tell

log = logs.get(__name__)

#: Longest wait for half of the claims to come back, and between two looks at whether
#: another process wrote, in seconds.
PACE = 0.01
#: Longest time without a round, in seconds: leases and gates are looked at.
IDLE = 1.0
#: How long a delivery is fresh after it became due.
FRESH = timedelta(seconds=5)
#: How many that are no longer fresh are moved at once, and seconds between two times:
#: whoever receives waits meanwhile.
MOVED = 50
MOVING = 0.1
#: After the stop, seconds until open calls are abandoned in doubt.
DRAIN = 20.0
#: After that, seconds in which the store is asked again to take what became of them.
LAST_WORDS = 3.0
#: Wait before another round when the store did not take the last one, in seconds.
STORE_PAUSE = 0.5


class Coordinator:
    """Moves deliveries from the store through the senders and back.

    Args:
        config: For routes, rate and time limits.
        store: Where deliveries wait.
        senders: The threads.
        threads: How many they are.
        stop: Set to end.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        senders: Senders,
        threads: int,
        stop: Event,
    ) -> None:
        self._config = config
        self._store = store
        self._senders = senders
        self._keeper = Gatekeeper(config, store.gates)
        self._most = 2 * threads
        self._claiming = Claiming(config, store, self._keeper, self._most)
        self._doubting = Doubting(config, store, threads)
        self._narrowing = Narrowing(store.gates)
        self._names = [name for route in config.routes for name in route.names]
        self._stop = stop
        self._timeout = config.iterable.timeout
        self._inflight: dict[str, Claim] = {}
        self._back: list[Result | Probed | Checked] = []
        self._presence = Presence()
        self._is_store_down = False
        #: Monotonic time of the next look at leases.
        self._look_at = 0.0
        #: Monotonic time at which what has waited may next be moved.
        self._move_at = 0.0
        #: The store's clock when a round last looked.
        self._clock: datetime | None = None

    def run(self) -> None:
        """Work until told to stop, then drain.

        Raises:
            ThreadDiedError: A sender has died; what it had will be found in doubt.
        """
        while not self._stop.is_set() and not self._begin():
            self._stop.wait(STORE_PAUSE)
        while not self._stop.is_set() and self._senders.are_alive:
            if self._round():
                self._rest()
            else:
                self._stop.wait(STORE_PAUSE)
        self._drain()
        if not self._senders.are_alive:
            raise ThreadDiedError("a thread that sends has died")

    def _begin(self) -> bool:
        """Hold what no route wants any more; have closed gates probed at once."""
        try:
            with self._store.write() as tx:
                for route in self._config.routes:
                    self._store.adopt(tx, route.name, route.formerly)
                held = self._store.queue.hold_orphans(tx, self._names)
                self._keeper.begin(tx)
                self._store.queue.pull_in(tx, self._names)
        except StoreUnavailable as error:
            return self._complain(error)
        if held:
            log.warning("delivery.held", count=held, reason="route is gone")
        return True

    def _complain(self, error: StoreUnavailable) -> bool:
        """Log the start of an outage, not every try during it."""
        if not self._is_store_down:
            log.error("store.unavailable", reason=error.reason)
        self._is_store_down = True
        return False

    def _rest(self) -> None:
        """Wait for results, another process's commit, or the time to look again.

        A round costs as much for one delivery as for several: some are to gather.
        """
        until = min(time.monotonic() + IDLE, self._doubting.look_at)
        while not self._stop.is_set() and time.monotonic() < until:
            self._back += self._senders.results(PACE, least=self._most // 2)
            if self._back or self._has_changed():
                return

    def _has_changed(self) -> bool:
        try:
            return self._store.has_changed()
        except StoreUnavailable:
            return True  # the round finds out, and says so once

    def _round(self) -> bool:
        """Settle, move the gates, claim; True where the store took it."""
        results, probed, checked = _sorted(self._back)
        store = self._store
        try:
            self._doubting.refresh()
            with store.write() as tx:
                told = self._settle(tx, results)
                self._keeper.take_answers(tx, probed)
                self._doubting.take(tx, checked)
                is_due = time.monotonic() >= self._look_at
                if is_due:
                    self._tend(tx)
                if time.monotonic() >= self._move_at:
                    store.queue.make_way(tx, self._names, FRESH, MOVED)
                    self._move_at = time.monotonic() + MOVING
                gates = store.gates.read(tx)
                room = self._most - len(self._inflight) + len(results)
                # Who is about to stop starts nothing new.
                probes, checks, tasks = (
                    ([], [], []) if self._stop.is_set() else self._plan(tx, gates, room)
                )
        except StoreUnavailable as error:
            return self._complain(error)
        self._is_store_down = False
        if is_due:
            self._look_at, self._clock = time.monotonic() + IDLE, tx.now
        self._back = []
        self._let_go(results, told)
        self._doubting.count(len(checks) - len(checked))
        self._close(gates)
        for task in tasks:
            self._inflight[task.claim.delivery_id] = task.claim
        jobs: list[Task | Check | Probe] = [*tasks, *checks, *probes]
        for job in jobs:
            self._senders.submit(job)
        return True

    def _settle(self, tx: Tx, results: Sequence[Result]) -> list[str]:
        """Write down what became of claims, and what that means for the gates."""
        told = self._store.queue.settle(tx, [one.settlement for one in results])
        self._keeper.apply(tx, results)
        self._narrowing.note(tx, results)
        return told

    def _let_go(self, results: Sequence[Result], told: Container[str]) -> None:
        """Forget claims that are settled, once that is written down."""
        for result in results:
            self._inflight.pop(result.claim.delivery_id, None)
            is_told = result.claim.delivery_id in told
            count(result, is_told=is_told)
            if is_told:
                tell(result)

    def _close(self, gates: Mapping[str, Gate]) -> None:
        """Tell the senders who must not start now."""
        shut = set(shut_routes(self._config, gates))
        restraint = self._senders.restraint
        restraint.shut = frozenset(shut | {ALL} if level_of(gates) else shut)
        restraint.doubted = self._doubting.doubted
        self._narrowing.see(gates)

    def _tend(self, tx: Tx) -> None:
        """Look at leases and the clock; say that this worker is there."""
        # A worker that was held up may still have the answer: wait for it.
        self._store.queue.expire_leases(tx, self._timeout)
        # What waits may wait for a time named before the clock was set back.
        if self._clock is not None and tx.now < self._clock:
            self._store.queue.pull_in(tx, self._names)
        self._presence.keep(tx)

    def _plan(
        self, tx: Tx, gates: Mapping[str, Gate], room: int
    ) -> tuple[list[Probe], list[Check], list[Task]]:
        checks: list[Check] = []
        if time.monotonic() >= self._doubting.look_at:
            checks = self._doubting.decide(tx, gates)
        tasks = self._claiming.claim(tx, gates, room)
        return self._keeper.due(tx, gates), checks, tasks

    def _drain(self) -> None:
        """Let open calls end, settle them, give the rest back."""
        # Where a thread died, the others must not begin what is about to be given up.
        self._stop.set()
        # No call takes longer than its timeout; one whose thread died never ends.
        until = time.monotonic() + min(DRAIN, self._timeout.total_seconds() + 1)
        while self._inflight and time.monotonic() < until:
            self._back += self._senders.results(PACE)
            if self._back and not self._round():
                time.sleep(STORE_PAUSE)
        if self._inflight:
            log.warning("worker.abandoned", count=len(self._inflight))
        given_up = [self._senders.abandon(claim) for claim in self._inflight.values()]
        # What came back meanwhile is known; its call is not among the open ones now.
        self._back += self._senders.results(0)
        done = {one.claim.delivery_id for one in self._back if isinstance(one, Result)}
        self._back += [one for one in given_up if one.claim.delivery_id not in done]
        until = time.monotonic() + LAST_WORDS
        while self._back and not self._round() and time.monotonic() < until:
            time.sleep(STORE_PAUSE)
        with suppress(StoreUnavailable), self._store.write() as tx:
            self._presence.end(tx)


def _sorted(
    back: Sequence[Result | Probed | Checked],
) -> tuple[list[Result], list[Probed], list[Checked]]:
    """Tell apart what came back."""
    return (
        [one for one in back if isinstance(one, Result)],
        [one for one in back if isinstance(one, Probed)],
        [one for one in back if isinstance(one, Checked)],
    )
