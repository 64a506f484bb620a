"""Pausing and resuming: the circuit breakers of routes and destinations, by hand."""

from collections.abc import Sequence

from bridge.bootstrap import Bridge
from bridge.config import Config
from bridge.maintenance.retention import NAME as RETENTION
from bridge.model import (
    Action,
    Circuit,
    Delivery,
    DeliveryStatus,
    destination_circuit,
    route_circuit,
)
from bridge.store import actions, circuits


def circuit_named(config: Config, name: str) -> str | None:
    """Find the circuit breaker of a route or a destination.

    Args:
        config: For both.
        name: A route's name (present or previous), a destination's name, or the full
            `route:NAME` or `destination:NAME`.

    Returns:
        None where there is neither; a route comes before a destination of that name.
        `retention` is the breaker of the sweeps, unless a route has that name.
    """
    kind, is_full, rest = name.partition(":")
    wanted = rest if is_full else name
    route = config.route(wanted)
    if route is not None and kind in ("route", name):
        return route_circuit(route.name)
    if wanted in config.destinations and kind in ("destination", name):
        return destination_circuit(wanted)
    return RETENTION if name == RETENTION else None


def stopped_circuits(bridge: Bridge) -> list[Circuit]:
    """List the circuit breakers that hold deliveries back, by name."""
    with bridge.store.read() as tx:
        found = circuits.read_all(tx)
    return [found[name] for name in sorted(found) if not found[name].is_running]


def circuits_holding(delivery: Delivery, stopped: Sequence[Circuit]) -> list[Circuit]:
    """Choose the circuit breakers that a pending delivery waits for."""
    if delivery.status is not DeliveryStatus.PENDING:
        return []
    names = (destination_circuit(delivery.destination), route_circuit(delivery.route))
    return [circuit for circuit in stopped if circuit.name in names]


def pause(bridge: Bridge, circuit: str, reason: str, *, actor: str) -> None:
    """Hold deliveries back until a person resumes."""
    with bridge.store.write() as tx:
        circuits.pause(tx, circuit, reason)
        actions.record_circuit(tx, actor, Action.PAUSE, circuit, reason)


def resume(bridge: Bridge, circuit: str, *, actor: str) -> bool:
    """Let deliveries pass again, whatever stopped them; False where they did."""
    with bridge.store.write() as tx:
        was_stopped = circuits.close(tx, circuit)
        if was_stopped:
            actions.record_circuit(tx, actor, Action.RESUME, circuit)
    return was_stopped
