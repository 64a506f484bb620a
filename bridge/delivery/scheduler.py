"""The scheduler: tick after tick until asked to stop, then a drain.

A tick is one transaction: settle what came back, move the circuit breakers, reserve
slots, claim what is due. Nothing is logged, counted or sent before its commit. Rows are
locked in one order: deliveries, then destinations by name, then routes.
"""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

import gevent

from bridge import logging as logs
from bridge.config import Config
from bridge.delivery.circuit_policy import CircuitPolicy
from bridge.delivery.claims import Claimer
from bridge.delivery.delivery_log import log_result, record_metrics
from bridge.delivery.in_doubt_resolver import InDoubtResolver
from bridge.delivery.outage_breaker import OutageBreaker
from bridge.delivery.sender_pool import Result, SenderPool
from bridge.delivery.tasks import (
    Check,
    CheckResult,
    Probe,
    ProbeResult,
    SendResult,
    SendTask,
    Tick,
)
from bridge.errors import StoreUnavailable, WorkerDiedError
from bridge.model import Claim, Trigger
from bridge.store import Store, circuits, in_doubt, leases, new_id, queue
from bridge.store.leases import BEAT_EVERY

log = logs.get(__name__)

#: Claims a process holds of one destination, per sender.
CLAIMS_PER_SENDER = 3
#: Seconds between two looks at whether another process wrote; and the longest wait for
#: half of the claims to come back while the senders have enough to do.
PACE, GATHER = 0.01, 0.04
#: Longest time without a tick, in seconds: leases and circuit breakers are looked at.
IDLE = 1.0
#: After the stop, seconds until open calls are abandoned with an unknown outcome.
DRAIN = 20.0
#: After that, seconds in which the store is asked again to take what became of them.
FINAL_WRITE = 3.0
#: Wait before another tick when the store did not take the last one, in seconds.
STORE_PAUSE = 0.5


@dataclass(slots=True)
class _Plan:
    """What a tick starts."""

    tasks: list[SendTask] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)


class Scheduler:
    """Moves deliveries from the store through the sender pool and back.

    Args:
        config: For routes, rates and time limits.
        store: Where deliveries wait.
        pool: Makes the calls.
        resolver: Resolves unknown outcomes.
        concurrency: How many sends to one destination the pool makes at once.
        stop: Set to end.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        pool: SenderPool,
        resolver: InDoubtResolver,
        concurrency: int,
        stop: Event,
    ) -> None:
        self._config = config
        self._store = store
        self._pool = pool
        self._resolver = resolver
        self._stop = stop
        self._policy = CircuitPolicy(config)
        self._claimer = Claimer(config, self._policy)
        self._breaker = OutageBreaker()
        self._concurrency = concurrency
        self._names = [name for route in config.routes for name in route.names]
        self._timeout = max(one.timeout for one in config.destinations.values())
        self._worker_id = new_id()
        #: Claims that are not settled, by delivery id.
        self._in_flight: dict[str, Claim] = {}
        self._back: list[Result] = []
        self._is_store_down = False
        #: Monotonic times of the next housekeeping and heartbeat.
        self._housekeeping_at = self._beat_at = 0.0
        #: The store's clock at the last housekeeping.
        self._clock: datetime | None = None

    def run(self) -> None:
        """Work until asked to stop, then drain.

        Raises:
            WorkerDiedError: A sender has died; its claim will be found in doubt.
        """
        while not self._stop.is_set() and not self._begin():
            gevent.sleep(STORE_PAUSE)
        while not self._stop.is_set() and self._pool.is_alive:
            if self._tick():
                self._wait()
            else:
                gevent.sleep(STORE_PAUSE)
                # Settled by the first tick that succeeds, before it expires leases.
                self._back += self._pool.take(0)
        self._drain()
        if not self._pool.is_alive:
            raise WorkerDiedError("a sender has died")

    def _begin(self) -> bool:
        """Adopt renamed routes, hold what has none, probe open circuit breakers."""
        try:
            with self._store.write() as tx:
                for route in self._config.routes:
                    queue.rename_route(tx, route.name, route.previous_names)
                held = queue.hold_unrouted(tx, self._names)
                self._policy.begin(Tick(tx=tx))
                queue.reset_far_future(tx)
                for route in self._config.routes:
                    circuits.rename_route(tx, route.name, route.previous_names)
        except StoreUnavailable as error:
            return self._note_store_down(error)
        if held:
            log.warning("delivery.held", count=held, reason="route is gone")
        return True

    def _note_store_down(self, error: StoreUnavailable) -> bool:
        """Log the start of an outage, not every try during it."""
        if not self._is_store_down:
            log.error("store.unavailable", reason=error.reason)
        self._is_store_down = True
        return False

    def _wait(self) -> None:
        """Wait for results, another process's commit, or the time to look again.

        A tick costs as much for one delivery as for several: results gather.
        """
        until = min(time.monotonic() + IDLE, self._resolver.look_at)
        is_busy = len(self._in_flight) > self._concurrency
        least = max(1, len(self._in_flight) // 2)
        while not self._stop.is_set():
            self._back += self._pool.take(GATHER if is_busy else PACE, least)
            is_over = time.monotonic() >= until
            if self._back or is_over or self._store.has_changed():
                return

    def _tick(self) -> bool:
        """Settle, move the circuit breakers, claim; True where the store took it."""
        results = [one for one in self._back if isinstance(one, SendResult)]
        try:
            with self._store.write() as tx:
                tick = Tick(tx=tx)
                applied = self._settle(tick, results)
                # A process that is about to stop starts nothing new.
                plan = _Plan() if self._stop.is_set() else self._plan(tick, results)
        except StoreUnavailable as error:
            return self._note_store_down(error)
        self._is_store_down = False
        self._back = []
        tick.committed()
        self._release(results, frozenset(applied))
        self._renew_guard(tick, results)
        for task in plan.tasks:
            self._in_flight[task.claim.delivery_id] = task.claim
        self._pool.send(plan.tasks)
        self._pool.check(plan.checks)
        self._pool.probe(plan.probes)
        return True

    def _settle(self, tick: Tick, results: Sequence[SendResult]) -> list[str]:
        """Write what came back, and what it means for the circuit breakers."""
        checked = [one for one in self._back if isinstance(one, CheckResult)]
        probed = [one for one in self._back if isinstance(one, ProbeResult)]
        applied = queue.settle(tick.tx, [one.result for one in results])
        self._resolver.apply(tick, checked)
        if time.monotonic() >= self._housekeeping_at:
            self._keep_house(tick)
        tick.circuits = circuits.read_all(tick.tx)
        if self._is_eventful(tick, results) or checked or probed:
            self._policy.lock_all(tick)
            self._policy.apply(tick, results)
            self._breaker.apply(tick, results)
            self._policy.apply_probes(tick, probed)
            self._resolver.pause(tick, checked)
            tick.circuits = circuits.read_all(tick.tx)
        self._breaker.see(tick, list(self._config.destinations))
        return applied

    def _is_eventful(self, tick: Tick, results: Sequence[SendResult]) -> bool:
        """Tell whether circuit breakers may change, so that all must be locked."""
        return (
            any(one.opens or one.pause or one.trial_of for one in results)
            or self._breaker.concerns(results)
            or bool(self._policy.half_open(tick) or self._policy.due(tick))
            or time.monotonic() >= self._resolver.look_at
        )

    def _keep_house(self, tick: Tick) -> None:
        """Look at leases and the clock; say that this worker is alive."""
        # A worker that was held up may still have the answer: wait for it.
        in_doubt.expire_leases(tick.tx, self._timeout)
        # What waits may wait for a time named before the clock was set back.
        if self._clock is not None and tick.tx.now < self._clock:
            self._policy.lock_all(tick)
            queue.reset_far_future(tick.tx)
        now = time.monotonic()
        if now >= self._beat_at:
            leases.beat(tick.tx, self._worker_id)
            tick.after_commit(setattr, self, "_beat_at", now + BEAT_EVERY)
        tick.after_commit(setattr, self, "_housekeeping_at", now + IDLE)
        tick.after_commit(setattr, self, "_clock", tick.tx.now)

    def _plan(self, tick: Tick, results: Sequence[SendResult]) -> _Plan:
        held = Counter(one.destination for one in self._in_flight.values())
        held.subtract(one.claim.destination for one in results)
        most = CLAIMS_PER_SENDER * self._concurrency
        room = {name: most - held[name] for name in self._config.destinations}
        plan = _Plan()
        if time.monotonic() >= self._resolver.look_at:
            plan.checks = self._resolver.decide(tick)
        plan.tasks = self._claimer.claim(tick, room)
        plan.probes = self._policy.due_probes(tick)
        return plan

    def _release(self, results: Sequence[SendResult], applied: frozenset[str]) -> None:
        """Forget claims that are settled; log and count them."""
        for one in results:
            self._in_flight.pop(one.claim.delivery_id, None)
            is_applied = one.claim.delivery_id in applied
            record_metrics(one, is_applied=is_applied)
            if is_applied:
                log_result(one)

    def _renew_guard(self, tick: Tick, results: Sequence[SendResult]) -> None:
        """Tell the senders what must not be sent, before they get anything new."""
        unknown = Trigger.OUTCOME_UNKNOWN
        is_stale = any(one.result.trigger is unknown for one in results)
        with suppress(StoreUnavailable):
            self._resolver.refresh(is_stale=is_stale)
        self._pool.guard.renew(self._policy.blocked(tick), self._resolver.targets)

    def _drain(self) -> None:
        """Let open calls end, settle them, give the rest back."""
        # Where a sender died, the others must not begin what is about to be given up.
        self._stop.set()
        # No call takes longer than its timeout; one whose sender died never ends.
        until = time.monotonic() + min(DRAIN, self._timeout.total_seconds() + 1)
        while self._in_flight and time.monotonic() < until:
            self._back += self._pool.take(PACE)
            if self._back and not self._tick():
                gevent.sleep(STORE_PAUSE)
        if self._in_flight:
            log.warning("worker.abandoned", count=len(self._in_flight))
        given_up = [self._pool.abandon(claim) for claim in self._in_flight.values()]
        # What came back meanwhile is known; its call is not among the open ones now.
        self._back += self._pool.take(0)
        known = {
            one.claim.delivery_id for one in self._back if isinstance(one, SendResult)
        }
        self._back += [one for one in given_up if one.claim.delivery_id not in known]
        until = time.monotonic() + FINAL_WRITE
        while self._back and not self._tick() and time.monotonic() < until:
            gevent.sleep(STORE_PAUSE)
        with suppress(StoreUnavailable), self._store.write() as tx:
            leases.deregister(tx, self._worker_id)
        self._pool.close()
