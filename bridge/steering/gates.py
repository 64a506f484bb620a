"""Gates that are not open, and what waits at them."""

from collections.abc import Sequence

from bridge.bootstrap import Bridge
from bridge.model import DeliveryStatus, Gate, GateState
from bridge.store import DESTINATION, Action, By, DeliveryRow, gate_of


def stopped_gates(bridge: Bridge) -> list[Gate]:
    """List the gates that are not open, by name."""
    with bridge.store.read() as tx:
        gates = bridge.store.gates.read(tx)
    return [gates[name] for name in sorted(gates) if not _is_open(gates[name])]


def holding(delivery: DeliveryRow, stopped: Sequence[Gate]) -> list[Gate]:
    """Choose the gates at which a delivery waits."""
    if delivery.status is not DeliveryStatus.PENDING:
        return []
    names = (DESTINATION, gate_of(delivery.route))
    return [gate for gate in stopped if gate.name in names]


def gate_named(bridge: Bridge, route: str) -> str | None:
    """Name the gate of a route under its name or an earlier one, or the destination's.

    Returns:
        None where there is no such route.
    """
    if route == DESTINATION:
        return DESTINATION
    found = bridge.config.route(route)
    return None if found is None else gate_of(found.name)


def pause(bridge: Bridge, gate: str, reason: str, *, by: By) -> None:
    """Close a gate until a person opens it."""
    with bridge.store.write() as tx:
        bridge.store.gates.pause(tx, gate, reason)
        bridge.store.ledger.note_gate(tx, by, Action.PAUSE, gate, reason)


def resume(bridge: Bridge, gate: str, *, by: By) -> bool:
    """Open a gate, whoever or whatever closed it; False where it was open."""
    with bridge.store.write() as tx:
        was_shut = bridge.store.gates.open(tx, gate)
        if was_shut:
            bridge.store.ledger.note_gate(tx, by, Action.RESUME, gate)
    return was_shut


def _is_open(gate: Gate) -> bool:
    return gate.state is GateState.OPEN
