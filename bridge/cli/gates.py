"""Gates that are not open, as a shell shows them."""

from bridge.cli.printing import text
from bridge.model import Gate


def gate_line(gate: Gate) -> str:
    """Say which gate is stopped, and why."""
    return f"gate {gate.name} is {gate.state}: {text(gate.reason)}"
