"""What attempts and probes mean for the circuit breakers.

Lock order: a transaction that touches a route's circuit breaker first locks those of
all destinations, by name. So two workers never wait for each other in a circle.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from bridge import logging as logs
from bridge.config import Config, Route
from bridge.delivery.tasks import Probe, ProbeResult, SendResult, Tick
from bridge.model import (
    CircuitState,
    Classification,
    FailureScope,
    destination_circuit,
    route_circuit,
)
from bridge.retry import MAX_RETRY_AFTER, PROBE_EVERY
from bridge.store import circuits

log = logs.get(__name__)

_AT_ONCE = timedelta(0)


class CircuitPolicy:
    """Opens and closes circuit breakers inside the scheduler's transactions.

    An open one is probed with a cheap question, then with one real delivery; only that
    one's success closes it, or, where it needs a receipt, a receipt of a message sent.

    Args:
        config: For routes and destinations.
    """

    def __init__(self, config: Config) -> None:
        self._destinations = sorted(config.destinations)
        #: By circuit breaker: the destination to ask, and the route to ask about.
        self._asked: dict[str, tuple[str, str | None]] = {
            destination_circuit(name): (name, None) for name in self._destinations
        }
        for route in config.routes:
            self._asked[route_circuit(route.name)] = route.destination, route.name
        self._config = config

    def lock_all(self, tick: Tick) -> None:
        """Lock all circuit breakers, in the one order, and read everything again.

        Those of routes too: locked later, each when a result needs it, they would be
        locked in the order of the results.
        """
        circuits.lock(tick.tx, self._asked)
        tick.circuits = circuits.read_all(tick.tx)

    def begin(self, tick: Tick) -> None:
        """Have every open circuit breaker probed at once: a restart may be the fix."""
        self.lock_all(tick)
        for circuit in tick.circuits.values():
            if circuit.state in (CircuitState.OPEN, CircuitState.HALF_OPEN):
                circuits.defer_probe(tick.tx, circuit.name, circuit.reason, _AT_ONCE)

    def start_trial(self, tick: Tick, name: str) -> None:
        """Open a half-open circuit breaker again behind its trial.

        It was read after the destinations were locked, so no other worker has made the
        trial meanwhile.
        """
        reason = tick.circuit(name).reason
        circuits.defer_probe(tick.tx, name, reason, PROBE_EVERY)

    def apply_probes(self, tick: Tick, results: Iterable[ProbeResult]) -> None:
        """Let one delivery through where a probe succeeded."""
        for one in results:
            if one.outcome.classification is Classification.SUCCESS:
                if circuits.half_open(tick.tx, one.circuit):
                    name = one.circuit
                    tick.after_commit(log.info, "circuit.half_open", circuit=name)
            else:
                reason = one.outcome.reason
                circuits.defer_probe(tick.tx, one.circuit, reason, PROBE_EVERY)

    def apply(self, tick: Tick, results: Sequence[SendResult]) -> None:
        """Move the circuit breakers as attempts ask."""
        for one in results:
            if one.pause is not None:
                name = destination_circuit(one.claim.destination)
                circuits.pause_destination(tick.tx, name, one.pause)
            if one.opens is not None:
                self._open(tick, one, one.opens)
            elif one.trial_of is not None:
                self._end_trial(tick, one, one.trial_of)

    def due_probes(self, tick: Tick) -> list[Probe]:
        """List the probes to be made now, no circuit breaker twice."""
        probes = []
        for name in self.due(tick):
            destination, route = self._asked[name]
            circuits.defer_probe(tick.tx, name, tick.circuit(name).reason, PROBE_EVERY)
            probes.append(Probe(circuit=name, destination=destination, route=route))
        return probes

    def due(self, tick: Tick) -> list[str]:
        """Name the open circuit breakers whose probe is due."""
        now = tick.tx.now
        return [
            one.name
            for one in tick.circuits.values()
            if one.state is CircuitState.OPEN
            and one.name in self._asked
            and one.probe_at is not None
            # Further ahead than a probe is ever put off, the clock was set back.
            and not now < one.probe_at <= now + PROBE_EVERY
        ]

    def half_open(self, tick: Tick) -> list[str]:
        """Name the circuit breakers that one delivery may pass as a trial."""
        return [
            one.name
            for one in tick.circuits.values()
            if one.state is CircuitState.HALF_OPEN and one.name in self._asked
        ]

    def blocked(self, tick: Tick) -> frozenset[str]:
        """Name the circuit breakers that ordinary deliveries must not pass.

        Among them those of destinations that asked for a pause, or that get one message
        at a time.
        """
        now = tick.tx.now
        return frozenset(
            one.name
            for one in tick.circuits.values()
            if not one.is_running
            or one.trial_level > 0
            or (one.paused_until and now < one.paused_until <= now + MAX_RETRY_AFTER)
        )

    def _open(self, tick: Tick, one: SendResult, scope: FailureScope) -> None:
        name = destination_circuit(one.claim.destination)
        if scope is FailureScope.ROUTE:
            route = self._config.route(one.claim.route)
            name = route_circuit(route.name if route else one.claim.route)
        reason = one.result.reason or "configuration error"
        if circuits.open(tick.tx, name, reason, PROBE_EVERY):
            tick.after_commit(log.error, "circuit.opened", circuit=name, reason=reason)
        else:
            circuits.defer_probe(tick.tx, name, reason, PROBE_EVERY)

    def _end_trial(self, tick: Tick, one: SendResult, name: str) -> None:
        circuit = circuits.get(tick.tx, name)
        if one.is_success:
            is_enough = not circuit.needs_receipt
            if is_enough and circuits.close(tick.tx, name, even_paused=False):
                tick.after_commit(log.info, "circuit.closed", circuit=name)
        elif circuit.state is CircuitState.OPEN:
            # The trial proved nothing: the next one may.
            circuits.defer_probe(tick.tx, name, circuit.reason, _AT_ONCE)


def circuits_of(route: Route) -> frozenset[str]:
    """Name the circuit breakers in front of a route: its destination's and its own."""
    return frozenset(
        (destination_circuit(route.destination), route_circuit(route.name))
    )
