"""The coordinator: round after round until it is told to stop.

A round is one transaction: settle what came back, look at the gates, claim what is due.
It decides nothing itself; `dispatch`, `gatekeeper` and `retry` decide, `store` writes.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from threading import Event

from bridge import log as logs
from bridge import retry
from bridge.config import Config
from bridge.dispatch import Result
from bridge.errors import StoreUnavailable
from bridge.gatekeeper import (
    DESTINATION,
    Gatekeeper,
    Probe,
    Probed,
    gate_of,
    is_probing,
    is_shut,
    shut_routes,
)
from bridge.model import Cause, Claim, Gate, Lane
from bridge.senders import Senders, Task
from bridge.store import Store, Tx, new_id

log = logs.get(__name__)

#: How far ahead send slots are handed out.
HORIZON = timedelta(seconds=1)
#: Between two looks at whether another process wrote, in seconds.
POLL = 0.01
#: Least time between two rounds, in seconds, while under half of the claims is back.
PACE = 0.01
#: Longest time without a round, in seconds: leases and gates are looked at.
IDLE = 1.0
#: One in so many of a round's claims is kept for retries that are due.
RETRY_SHARE = 4
#: What part of a second's sends may come late together: 105 % of the rate over 2 s.
LATE_PART = 0.1
#: Between two looks at retries when none was due, in seconds.
RETRY_LOOK = 0.05
#: After the stop, seconds until open calls are abandoned in doubt.
DRAIN = 18.0
#: Wait before another round when the store did not take the last one, in seconds.
STORE_PAUSE = 0.5
#: Most deliveries in doubt decided in one round.
DOUBTS = 200


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
        self._stop = stop
        self._timeout = config.iterable.timeout
        # A claim waits for its slot and perhaps for a thread before its call.
        self._lease = 2 * self._timeout + HORIZON + timedelta(seconds=4)
        self._inflight: dict[str, Claim] = {}
        self._back: list[Result | Probed] = []
        self._is_store_down = False
        self._is_retry_first = False
        #: Monotonic times of the next look at leases and doubts, and at retries.
        self._look_at = 0.0
        self._retries_at = 0.0

    def run(self) -> None:
        """Work until told to stop, then drain."""
        while not self._stop.is_set() and not self._begin():
            self._stop.wait(STORE_PAUSE)
        while not self._stop.is_set():
            if self._round():
                self._rest()
            else:
                self._stop.wait(STORE_PAUSE)
        self._drain()

    def _begin(self) -> bool:
        """Hold what no route wants any more; have closed gates probed at once."""
        names = [name for route in self._config.routes for name in route.names]
        try:
            with self._store.write() as tx:
                for route in self._config.routes:
                    self._store.adopt(tx, route.name, route.formerly)
                held = self._store.queue.hold_orphans(tx, names)
                self._keeper.begin(tx)
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
        """Wait for a result, another process's commit, or the time to look again."""
        began = time.monotonic()
        while not self._stop.is_set() and not self._back:
            self._back += self._senders.results(POLL)
            if self._has_changed() or time.monotonic() >= began + IDLE:
                break
        # A round costs as much for one delivery as for several: let some gather.
        while not self._stop.is_set() and len(self._back) < self._most // 2:
            left = began + PACE - time.monotonic()
            if left <= 0:
                return
            self._back += self._senders.results(left)

    def _has_changed(self) -> bool:
        try:
            return self._store.has_changed()
        except StoreUnavailable:
            return True  # the round finds out, and says so once

    def _round(self) -> bool:
        """Settle, move the gates, claim; True where the store took it."""
        back, store = self._back, self._store
        try:
            with store.write() as tx:
                results = [one for one in back if isinstance(one, Result)]
                told = store.queue.settle(tx, [one.settlement for one in results])
                self._keeper.apply(tx, back)
                is_due = time.monotonic() >= self._look_at
                if is_due:
                    # A worker that was held up may still have the answer: wait for it.
                    store.queue.expire_leases(tx, self._timeout)
                gates = store.gates.read(tx)
                room = self._most - len(self._inflight) + len(results)
                # Who is about to stop starts nothing new.
                probes, tasks = (
                    ([], []) if self._stop.is_set() else self._plan(tx, gates, room)
                )
        except StoreUnavailable as error:
            return self._complain(error)
        self._is_store_down = False
        if is_due:
            self._look_at = time.monotonic() + IDLE
        self._back = []
        for result in results:
            self._inflight.pop(result.claim.delivery_id, None)
            if result.claim.delivery_id in told:
                _tell(result)
        self._senders.shut = frozenset(shut_routes(self._config, gates))
        for task in tasks:
            self._inflight[task.claim.delivery_id] = task.claim
            self._senders.submit(task)
        for probe in probes:
            self._senders.submit(probe)
        return True

    def _plan(
        self, tx: Tx, gates: Mapping[str, Gate], room: int
    ) -> tuple[list[Probe], list[Task]]:
        if time.monotonic() >= self._look_at:
            self._decide_doubts(tx)
        return self._keeper.due(tx, gates), self._claim(tx, gates, room)

    def _decide_doubts(self, tx: Tx) -> None:
        for doubt in self._store.queue.doubtful(tx, DOUBTS):
            route = self._config.route(doubt.route)
            policy = "hold" if route is None else route.in_doubt
            decision = retry.doubt(policy, doubt.doubts)
            self._store.queue.decide_doubt(
                tx, doubt.delivery_id, decision.cause, decision.delay, decision.reason
            )
            log.warning(
                "delivery.in_doubt",
                delivery_id=doubt.delivery_id,
                decision=decision.cause.value,
                reason=decision.reason,
            )

    def _claim(self, tx: Tx, gates: Mapping[str, Gate], room: int) -> list[Task]:
        """Claim as many due deliveries as there are slots and room for."""
        rate = self._config.iterable.rate_per_second
        room = min(room, self._store.gates.free_slots(tx, rate, HORIZON, gates))
        if room <= 0:
            return []
        claims = self._claim_probes(tx, gates, room)
        if not is_shut(gates, DESTINATION):
            names = self._names(gates)
            found = self._claim_lanes(tx, names, room - len(claims))
            claims += [(claim, None) for claim in found]
        if not claims:
            return []
        delays = self._store.gates.take_slots(tx, len(claims), rate, gates)
        now = time.monotonic()
        latest = now + (self._lease - self._timeout).total_seconds()
        # Where all claims together are much less than a second's worth, none can be so
        # late that the rate suffers.
        is_punctual = self._most > LATE_PART * rate
        return [
            Task(
                claim=claim,
                slot=now + delay.total_seconds(),
                latest=latest,
                is_punctual=is_punctual,
                probes=probes,
            )
            for (claim, probes), delay in zip(claims, delays, strict=True)
        ]

    def _claim_probes(
        self, tx: Tx, gates: Mapping[str, Gate], room: int
    ) -> list[tuple[Claim, str | None]]:
        """Claim one delivery for each closed gate that may open."""
        doors = {
            gate_of(route.name): list(route.names) for route in self._config.routes
        }
        if is_shut(gates, DESTINATION):
            doors = {DESTINATION: self._names(gates)}
        claims: list[tuple[Claim, str | None]] = []
        for gate, names in doors.items():
            if is_probing(gates, gate) and len(claims) < room:
                found = self._claim_one(tx, names)
                if found:
                    self._keeper.let_through(tx, gates[gate])
                claims += [(claim, gate) for claim in found]
        return claims

    def _names(self, gates: Mapping[str, Gate]) -> list[str]:
        """List the names of the routes whose gates are open."""
        return [
            name
            for route in self._config.routes
            if not is_shut(gates, gate_of(route.name))
            for name in route.names
        ]

    def _claim_one(self, tx: Tx, names: list[str]) -> list[Claim]:
        """Claim a single delivery, whichever lane has one."""
        queue, token = self._store.queue, new_id()
        return queue.claim(tx, names, Lane.FRESH, 1, self._lease, token) or queue.claim(
            tx, names, Lane.RETRY, 1, self._lease, token
        )

    def _claim_lanes(self, tx: Tx, names: list[str], limit: int) -> list[Claim]:
        """Claim from both lanes so that neither starves the other."""
        if limit <= 0 or not names:
            return []
        queue, token = self._store.queue, new_id()
        # With room for too few to share, the lanes take turns at being first.
        share = limit // RETRY_SHARE or int(self._is_retry_first)
        retries: list[Claim] = []
        if time.monotonic() >= self._retries_at:
            retries = queue.claim(tx, names, Lane.RETRY, share, self._lease, token)
            if share and not retries:
                self._retries_at = time.monotonic() + RETRY_LOOK
        rest = limit - len(retries)
        claims = retries + queue.claim(tx, names, Lane.FRESH, rest, self._lease, token)
        rest = limit - len(claims)
        if rest and len(retries) == share and time.monotonic() >= self._retries_at:
            claims += queue.claim(tx, names, Lane.RETRY, rest, self._lease, token)
        if claims:
            self._is_retry_first = not self._is_retry_first
        return claims

    def _drain(self) -> None:
        """Let open calls end, settle them, give the rest back."""
        until = time.monotonic() + DRAIN
        while self._inflight and time.monotonic() < until:
            self._back += self._senders.results(POLL)
            if self._back and not self._round():
                time.sleep(STORE_PAUSE)
        if self._inflight:
            log.warning("worker.abandoned", count=len(self._inflight))
        done = {one.claim.delivery_id for one in self._back if isinstance(one, Result)}
        self._back += [
            self._senders.abandon(claim)
            for claim in self._inflight.values()
            if claim.delivery_id not in done
        ]
        if self._back:
            self._round()


#: Log level and event name of each way a claim can end.
_TELL = {
    Cause.ANSWERED_OK: ("info", "delivery.accepted"),
    Cause.NOT_PROCESSED: ("info", "delivery.rescheduled"),
    Cause.OUTCOME_UNKNOWN: ("warning", "delivery.outcome_unknown"),
    Cause.GIVEN_UP: ("warning", "delivery.dead"),
    Cause.MUST_NOT_SEND: ("info", "delivery.suppressed"),
    Cause.GATE_CLOSED: ("info", "delivery.waits_at_gate"),
    Cause.UNUSABLE: ("warning", "delivery.held"),
}


def _tell(result: Result) -> None:
    """Log one state change, in words that name nobody."""
    settlement, claim = result.settlement, result.claim
    if settlement.cause not in _TELL:
        return
    level, event = _TELL[settlement.cause]
    fields: dict[str, object] = {
        "delivery_id": claim.delivery_id,
        "route": claim.route,
        "attempt": claim.number,
    }
    if settlement.reason:
        fields["reason"] = settlement.reason
    if result.outcome is not None:
        fields |= {"status": result.outcome.status, "code": result.outcome.code}
    if settlement.delay is not None:
        fields["retry_in"] = round(settlement.delay.total_seconds(), 3)
    if result.dropped:
        fields["dropped_keys"] = result.dropped
    getattr(log, level)(event, **fields)
