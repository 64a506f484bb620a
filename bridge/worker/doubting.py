"""Deliveries in doubt: whose turn it is, and what was found out about them."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

from bridge import log as logs
from bridge import retry
from bridge.accounting import UNLISTED, target_of
from bridge.config import Config
from bridge.gatekeeper import DESTINATION
from bridge.model import Cause, Gate, GateState
from bridge.store import Doubt, Store, Tx
from bridge.verification import Check, Checked, Conclusion, Doubted

log = logs.get(__name__)

#: The row whose slots checks take.
VERIFY = "verify"
#: Most deliveries in doubt looked at in one round.
DOUBTS = 200
#: How far ahead checks are given slots.
HORIZON = timedelta(seconds=0.1)
#: One thread in so many may be busy with a check.
SHARE = 4
#: Shortest and longest time between two looks at doubts, in seconds.
PACE = 0.01
LOOK = 1.0
#: Most doubts of which neighbours are kept waiting.
NEIGHBOURS = 10_000
#: Age of the list of doubts after which it is read again, in seconds.
FRESH = 0.5


class Doubting:
    """Ends doubts as their routes say.

    Args:
        config: For the routes and the pace of checks.
        store: Where deliveries wait.
        threads: How many the senders have.
    """

    def __init__(self, config: Config, store: Store, threads: int) -> None:
        self._config = config
        self._store = store
        self._most = max(1, threads // SHARE)
        self._open = 0
        # A check that nobody ends is made again.
        self._lease = 3 * config.iterable.timeout + timedelta(seconds=5)
        #: Whom and what doubts are about; others like it wait.
        self.doubted: Doubted = {}
        self._read_at = 0.0
        #: Monotonic time of the next look.
        self.look_at = 0.0

    def take(self, tx: Tx, checked: Iterable[Checked]) -> None:
        """Write down what checks came to."""
        for one in checked:
            self.look_at = 0.0
            if one.pause is not None:
                self._line_up(tx)
                self._store.gates.pause_destination(tx, one.pause, VERIFY)
            if not one.conclusions:
                self._store.queue.postpone(tx, [one.doubt.delivery_id], one.delay)
            for conclusion in one.conclusions:
                self._write(tx, conclusion)

    def count(self, change: int) -> None:
        """Count checks as open, once their start or end is written down."""
        self._open += change

    def decide(self, tx: Tx, gates: Mapping[str, Gate]) -> list[Check]:
        """Decide what needs no check, and start as many checks as there is room for."""
        due = self._store.queue.doubtful(tx, DOUBTS)
        waiting = []
        for doubt in due:
            if self._policy(doubt) != "verify":
                self._decide_by_policy(tx, doubt)
            elif doubt.endpoint in UNLISTED or self._is_ripe(tx, doubt):
                waiting.append(doubt)
        checks = [] if _is_closed(gates) else self._start(tx, gates, waiting)
        # With no room for more, the end of a check is what to wait for.
        is_early = len(checks) < len(waiting) and self._open + len(checks) < self._most
        pause = 1 / self._config.iterable.verify.rate_per_second
        self.look_at = time.monotonic() + (
            min(max(pause, PACE), LOOK) if is_early else LOOK
        )
        return checks

    def refresh(self) -> None:
        """Read whom doubts are about, where what was read is no longer fresh.

        A check waits longer than that: by then nothing like it is sent any more. It is
        not part of a round: thousands take a while, and webhooks would wait for it.

        Raises:
            StoreUnavailable: They cannot be read.
        """
        if time.monotonic() < self._read_at + FRESH:
            return
        found: dict[str, set[int | None]] = defaultdict(set)
        with self._store.read() as tx:
            doubted = self._store.queue.doubted(tx, NEIGHBOURS)
        for one in doubted:
            target = target_of(one.payload)
            if target is not None:
                found[target.person.name].add(target.campaign_id)
            else:
                route = self._config.route(one.route)
                found[one.recipient].add(None if route is None else route.campaign_id)
        self.doubted = {name: frozenset(several) for name, several in found.items()}
        self._read_at = time.monotonic()

    def _policy(self, doubt: Doubt) -> str:
        route = self._config.route(doubt.route)
        return "hold" if route is None else route.in_doubt

    def _is_ripe(self, tx: Tx, doubt: Doubt) -> bool:
        """Tell whether Iterable would show the message by now; else wait until then."""
        left = doubt.since + self._config.iterable.verify.after - tx.now
        if left > timedelta(0):
            self._store.queue.postpone(tx, [doubt.delivery_id], left)
        return left <= timedelta(0)

    def _start(
        self, tx: Tx, gates: Mapping[str, Gate], waiting: list[Doubt]
    ) -> list[Check]:
        rate = self._config.iterable.verify.rate_per_second
        room = min(self._most - self._open, len(waiting))
        if room < 1:
            return []
        self._line_up(tx)
        store = self._store
        room = min(room, store.gates.free_slots(tx, rate, HORIZON, gates, VERIFY))
        delays = store.gates.take_slots(tx, room, rate, gates, VERIFY)
        chosen = waiting[: max(room, 0)]
        store.queue.postpone(tx, [one.delivery_id for one in chosen], self._lease)
        now = time.monotonic()
        return [
            Check(doubt=doubt, slot=now + delay.total_seconds())
            for doubt, delay in zip(chosen, delays, strict=True)
        ]

    def _line_up(self, tx: Tx) -> None:
        """Lock the gate that all take first: two workers must not wait in a circle."""
        self._store.gates.get(tx, DESTINATION)

    def _decide_by_policy(self, tx: Tx, doubt: Doubt) -> None:
        decision = retry.doubt(self._policy(doubt), doubt.doubts)
        self._write(
            tx,
            Conclusion(
                delivery_id=doubt.delivery_id,
                number=doubt.number,
                cause=decision.cause,
                delay=decision.delay,
                reason=decision.reason,
            ),
        )

    def _write(self, tx: Tx, one: Conclusion) -> None:
        is_done = self._store.queue.decide_doubt(
            tx, one.delivery_id, one.cause, one.delay, one.reason, one.number
        )
        if not is_done:
            return
        level = "info" if one.cause in _PLAIN else "warning"
        getattr(log, level)(
            "delivery.in_doubt",
            delivery_id=one.delivery_id,
            decision=one.cause.value,
            reason=one.reason,
        )


#: Decisions that leave nothing to worry about.
_PLAIN = (Cause.CHECK_FOUND, Cause.CHECK_NOT_FOUND)


def _is_closed(gates: Mapping[str, Gate]) -> bool:
    """Tell whether Iterable would refuse a question as well: then doubts wait too."""
    gate = gates.get(DESTINATION)
    return gate is not None and gate.state is GateState.CLOSED
