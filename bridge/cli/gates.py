"""Gates that are not open, as people read of them."""

from collections.abc import Sequence

from bridge.bootstrap import Bridge
from bridge.cli.printing import text
from bridge.model import DeliveryStatus, Gate, GateState
from bridge.store import DESTINATION, DeliveryRow, gate_of


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


def gate_line(gate: Gate) -> str:
    """Say which gate is stopped, and why."""
    return f"gate {gate.name} is {gate.state}: {text(gate.reason)}"


def _is_open(gate: Gate) -> bool:
    return gate.state is GateState.OPEN
