"""Deliveries in doubt: which are due for a decision or a check, and what is written.

The pace of checks is kept in a row of its own for each destination, `verify:<name>`,
taken only while the destination's circuit breaker is locked.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from bridge import logging as logs
from bridge import retry
from bridge.config import Config
from bridge.delivery.send_guard import InDoubtTargets
from bridge.delivery.tasks import (
    VERIFY_PREFIX,
    Check,
    CheckResult,
    Resolution,
    Tick,
)
from bridge.integrations import Destination
from bridge.model import InDoubtDelivery, Trigger, destination_circuit
from bridge.retry import Decision
from bridge.store import Store, circuits, in_doubt

log = logs.get(__name__)

#: Most deliveries in doubt looked at in one tick.
MOST_PER_TICK = 200
#: How far ahead checks are given slots.
HORIZON = timedelta(seconds=0.1)
#: Checks of one destination that may be open at once: a part of the senders.
CHECK_SHARE = 4
#: Shortest and longest time between two looks at deliveries in doubt, in seconds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 1.0
#: Most deliveries in doubt whose neighbours are kept waiting.
MOST_NEIGHBOURS = 10_000
#: Age of the list of recipients in doubt after which it is read again, in seconds.
FRESH_FOR = 0.5
_AT_ONCE = timedelta(0)

#: Decisions that leave nothing to worry about.
_PLAIN = (Trigger.CHECK_FOUND, Trigger.CHECK_NOT_FOUND)


class InDoubtResolver:
    """Resolves unknown outcomes as their routes say.

    Args:
        config: For the routes and the pace of checks.
        store: Where deliveries wait.
        destinations: By name.
        can_verify: Tells whether a destination can be asked about an endpoint.
        concurrency: How many sends to one destination may be open.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        destinations: Mapping[str, Destination],
        *,
        can_verify: Callable[[str, str], bool],
        concurrency: int,
    ) -> None:
        self._config = config
        self._store = store
        self._destinations = destinations
        self._can_verify = can_verify
        self._most = max(1, concurrency // CHECK_SHARE)
        #: By destination: checks that are open.
        self._open: dict[str, int] = defaultdict(int)
        #: Recipients and campaigns in doubt; other messages like them wait.
        self.targets: InDoubtTargets = {}
        self._read_at = 0.0
        #: Monotonic time of the next look.
        self.look_at = 0.0

    def refresh(self, *, is_stale: bool = False) -> None:
        """Read the recipients in doubt, where what was read is no longer fresh.

        It is not part of a tick: thousands take a while, and webhooks would wait.

        Args:
            is_stale: True where it is known that there are others.

        Raises:
            StoreUnavailable: They cannot be read.
        """
        if not is_stale and time.monotonic() < self._read_at + FRESH_FOR:
            return
        found: dict[tuple[str, str], set[int | None]] = defaultdict(set)
        with self._store.read() as tx:
            recipients = in_doubt.recipients_in_doubt(tx, MOST_NEIGHBOURS)
        for one in recipients:
            destination = self._destinations.get(one.destination)
            if destination is None or destination.verification is None:
                continue
            target = None
            if one.payload is not None:
                target = destination.verification.target_of(one.payload)
            if target is not None:
                found[one.destination, target.person.name].add(target.campaign_id)
            else:
                route = self._config.route(one.route)
                campaign_id = None if route is None else route.campaign_id
                found[one.destination, one.recipient].add(campaign_id)
        self.targets = {key: frozenset(several) for key, several in found.items()}
        self._read_at = time.monotonic()

    def apply(self, tick: Tick, results: Iterable[CheckResult]) -> None:
        """Write what checks came to."""
        for one in results:
            self.look_at = 0.0
            if not one.resolutions:
                in_doubt.defer_check(tick.tx, [one.delivery.delivery_id], one.delay)
            for resolution in one.resolutions:
                self._write(tick, resolution)
            tick.after_commit(self._count, one.delivery.destination, -1)

    def pause(self, tick: Tick, results: Iterable[CheckResult]) -> None:
        """Put off all checks of a destination that asked for it; it is locked."""
        for one in results:
            if one.pause is not None:
                name = VERIFY_PREFIX + one.delivery.destination
                circuits.pause_destination(tick.tx, name, one.pause)

    def decide(self, tick: Tick) -> list[Check]:
        """Decide what needs no check, and start as many checks as there is room for.

        The destinations are locked.
        """
        waiting: dict[str, list[InDoubtDelivery]] = defaultdict(list)
        for one in in_doubt.due_for_check(tick.tx, MOST_PER_TICK):
            decision = self._decision(one)
            if decision is not None:
                self._write(tick, _resolution(one, decision))
            elif self._is_ripe(tick, one):
                waiting[one.destination].append(one)
        checks: list[Check] = []
        pause = LONGEST_PAUSE
        for name in sorted(waiting):
            started = self._start(tick, name, waiting[name])
            checks += started
            # With no room for more, the end of a check is what to wait for.
            has_room = self._open[name] + len(started) < self._most
            if has_room and len(started) < len(waiting[name]):
                pause = min(pause, self._interval(name))
        self.look_at = time.monotonic() + max(pause, SHORTEST_PAUSE)
        return checks

    def _count(self, destination: str, change: int) -> None:
        self._open[destination] += change

    def _interval(self, destination: str) -> float:
        return 1 / self._config.destinations[destination].verify.rate_per_second

    def _decision(self, one: InDoubtDelivery) -> Decision | None:
        """Decide without a check; None where one is to be made."""
        destination = self._destinations.get(one.destination)
        if destination is not None and destination.is_idempotent(one.endpoint):
            return Decision(
                trigger=Trigger.POLICY_RESEND,
                delay=retry.RESEND_DELAY,
                reason="perhaps sent; sent again, as the endpoint accepts repeats",
            )
        route = self._config.route(one.route)
        policy = "hold" if route is None else route.on_unknown_outcome
        if policy != "verify":
            return retry.in_doubt_decision(policy, one.unknown_outcomes)
        if self._can_verify(one.destination, one.endpoint):
            return None
        return Decision(
            trigger=Trigger.CHECK_UNDECIDABLE,
            delay=None,
            reason=f"perhaps sent; {one.destination} cannot be asked about it",
        )

    def _is_ripe(self, tick: Tick, one: InDoubtDelivery) -> bool:
        """Tell whether its destination would show the message by now; else wait."""
        after = self._config.destinations[one.destination].verify.after
        left = one.since + after - tick.tx.now
        if left > _AT_ONCE:
            in_doubt.defer_check(tick.tx, [one.delivery_id], left)
        return left <= _AT_ONCE

    def _start(
        self, tick: Tick, name: str, waiting: list[InDoubtDelivery]
    ) -> list[Check]:
        room = min(self._most - self._open[name], len(waiting))
        # A destination that is stopped would reject a question as well.
        if room < 1 or not tick.circuit(destination_circuit(name)).is_running:
            return []
        configured, pace = self._config.destinations[name], VERIFY_PREFIX + name
        rate = configured.verify.rate_per_second
        room = min(room, circuits.available_slots(tick.tx, pace, rate, HORIZON))
        delays = circuits.reserve_slots(tick.tx, pace, room, rate)
        chosen = waiting[: max(room, 0)]
        # A check whose worker dies is made again.
        lease = 3 * configured.timeout + timedelta(seconds=5)
        in_doubt.defer_check(tick.tx, [one.delivery_id for one in chosen], lease)
        tick.after_commit(self._count, name, len(chosen))
        now = time.monotonic()
        return [
            Check(delivery=one, slot=now + delay.total_seconds())
            for one, delay in zip(chosen, delays, strict=True)
        ]

    def _write(self, tick: Tick, one: Resolution) -> None:
        is_done = in_doubt.resolve(
            tick.tx,
            one.delivery_id,
            one.trigger,
            delay=one.delay,
            reason=one.reason,
            attempt_no=one.attempt_no,
        )
        if is_done:
            tell = log.info if one.trigger in _PLAIN else log.warning
            tick.after_commit(
                tell,
                "delivery.in_doubt",
                delivery_id=one.delivery_id,
                trigger=one.trigger.value,
                reason=one.reason,
            )


def _resolution(one: InDoubtDelivery, decision: Decision) -> Resolution:
    return Resolution(
        delivery_id=one.delivery_id,
        attempt_no=one.attempt_no,
        trigger=decision.trigger,
        delay=decision.delay,
        reason=decision.reason,
    )
