"""Which due deliveries a tick claims, and the time each is to be sent at.

Claims are made per destination, together with its send slots, so that all processes
keep one rate. A destination that is limited by concurrency instead of a rate would
reserve places in its row here, in place of `reserve_slots`.
"""

import time
from collections.abc import Mapping
from datetime import timedelta

from bridge.config import Config, DestinationConfig, Route
from bridge.delivery.circuit_policy import CircuitPolicy, circuits_of
from bridge.delivery.tasks import SendTask, Tick
from bridge.model import Claim, destination_circuit, route_circuit
from bridge.store import circuits, new_id, queue

#: How far ahead send slots are reserved.
HORIZON = timedelta(seconds=1)
#: One in so many of a tick's claims is kept for retries and the backlog.
BACKLOG_SHARE = 4
#: Between two looks at the backlog when it was empty, in seconds.
BACKLOG_PAUSE = 0.05
#: A claim, and the circuit breaker it may pass as a trial.
Chosen = tuple[Claim, str | None]


class Claimer:
    """Claims for every destination; keeps no claim.

    Args:
        config: For routes, rates and time limits.
        policy: Hands out the trials of half-open circuit breakers.
    """

    def __init__(self, config: Config, policy: CircuitPolicy) -> None:
        self._policy = policy
        self._destinations = [
            _Destination(one, [r for r in config.routes if r.destination == name])
            for name, one in sorted(config.destinations.items())
        ]
        self._circuits = {
            name: circuits_of(route) for route in config.routes for name in route.names
        }

    def claim(self, tick: Tick, room: Mapping[str, int]) -> list[SendTask]:
        """Claim as many due deliveries as there are slots and room for.

        Args:
            tick: The tick; all destinations are locked where trials are possible.
            room: By destination: how many more claims this process may hold.
        """
        tasks: list[SendTask] = []
        for one in self._destinations:
            tasks += self._claim(tick, one, room[one.config.name])
        return tasks

    def _claim(self, tick: Tick, one: "_Destination", room: int) -> list[SendTask]:
        if room <= 0 or not one.routes or self._is_stopped(tick, one):
            return []
        rate = one.config.rate_per_second
        room = min(room, circuits.available_slots(tick.tx, one.circuit, rate, HORIZON))
        chosen = self._choose(tick, one, room) if room > 0 else []
        if not chosen:
            return []
        delays = circuits.reserve_slots(tick.tx, one.circuit, len(chosen), rate)
        now = time.monotonic()
        latest = now + (one.lease - one.config.timeout).total_seconds()
        return [
            SendTask(
                claim=claim,
                slot=now + delay.total_seconds(),
                latest=latest,
                circuits=self._circuits[claim.route],
                trial_of=trial_of,
            )
            for (claim, trial_of), delay in zip(chosen, delays, strict=True)
        ]

    def _is_stopped(self, tick: Tick, one: "_Destination") -> bool:
        """Tell whether neither an ordinary delivery nor a trial may pass."""
        is_half_open = one.circuit in self._policy.half_open(tick)
        return not (tick.circuit(one.circuit).is_running or is_half_open)

    def _choose(self, tick: Tick, one: "_Destination", room: int) -> list[Chosen]:
        running = [
            r for r in one.routes if tick.circuit(route_circuit(r.name)).is_running
        ]
        names = [name for route in running for name in route.names]
        if not tick.circuit(one.circuit).is_running:
            return self._claim_trial(tick, one, one.circuit, names)
        chosen = self._claim_trials(tick, one, room)
        if tick.circuit(one.circuit).trial_level > 0:
            return chosen or self._claim_single(tick, one, names)
        found = one.claim(tick, names, room - len(chosen))
        return chosen + [(claim, None) for claim in found]

    def _claim_trials(self, tick: Tick, one: "_Destination", room: int) -> list[Chosen]:
        """Claim one delivery for each half-open route."""
        half_open = self._policy.half_open(tick)
        chosen: list[Chosen] = []
        for route in one.routes:
            circuit = route_circuit(route.name)
            if circuit in half_open and len(chosen) < room:
                chosen += self._claim_trial(tick, one, circuit, list(route.names))
        return chosen

    def _claim_trial(
        self, tick: Tick, one: "_Destination", circuit: str, names: list[str]
    ) -> list[Chosen]:
        """Claim the one delivery that may pass a half-open circuit breaker."""
        found = one.claim_one(tick, names)
        if found:
            self._policy.start_trial(tick, circuit)
        return [(claim, circuit) for claim in found]

    def _claim_single(
        self, tick: Tick, one: "_Destination", names: list[str]
    ) -> list[Chosen]:
        """Claim one delivery where no worker holds any: see `outage_breaker`."""
        # Locked: of two workers that both find nothing being sent, one sends.
        circuits.get(tick.tx, one.circuit)
        if queue.is_sending(tick.tx, one.all_names):
            return []
        return [(claim, one.circuit) for claim in one.claim_one(tick, names)]


class _Destination:
    """One destination's routes, and the turn of fresh deliveries and the backlog."""

    def __init__(self, config: DestinationConfig, routes: list[Route]) -> None:
        self.config = config
        self.routes = routes
        self.circuit = destination_circuit(config.name)
        self.all_names = [name for route in routes for name in route.names]
        # A claim waits for its slot and perhaps for a free sender before its call.
        self.lease = 2 * config.timeout + HORIZON + timedelta(seconds=4)
        self._is_backlog_first = False
        #: Monotonic time of the next look at the backlog.
        self._backlog_at = 0.0

    def claim_one(self, tick: Tick, names: list[str]) -> list[Claim]:
        """Claim a single delivery, a fresh one where there is one."""
        return self._take(tick, names, 1, is_fresh=True) or self._take(
            tick, names, 1, is_fresh=False
        )

    def claim(self, tick: Tick, names: list[str], limit: int) -> list[Claim]:
        """Claim fresh deliveries and backlog so that neither starves the other."""
        is_looking = time.monotonic() >= self._backlog_at
        share = 0
        if is_looking:
            # With room for too few to share, they take turns at being first.
            share = limit // BACKLOG_SHARE or int(self._is_backlog_first)
        claims = self._take(tick, names, limit - share, is_fresh=True)
        rest = limit - len(claims)
        if is_looking and rest > 0:
            backlog = self._take(tick, names, rest, is_fresh=False)
            if not backlog:
                self._backlog_at = time.monotonic() + BACKLOG_PAUSE
            claims += backlog
        if claims:
            self._is_backlog_first = not self._is_backlog_first
        return claims

    def _take(
        self, tick: Tick, names: list[str], limit: int, *, is_fresh: bool
    ) -> list[Claim]:
        if limit < 1 or not names:
            return []
        return queue.claim(
            tick.tx,
            names,
            is_fresh=is_fresh,
            limit=limit,
            lease=self.lease,
            token=new_id(),
            destination=self.config.name,
        )
