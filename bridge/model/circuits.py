"""Circuit breakers: what may hold deliveries back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CircuitState(StrEnum):
    """Whether deliveries may pass."""

    CLOSED = "closed"  #: running
    OPEN = "open"  #: stopped by a configuration error; probed until it closes
    HALF_OPEN = "half_open"  #: stopped, and one real delivery may pass as a trial
    PAUSED = "paused"  #: by a person; only a person resumes it

    @property
    def label(self) -> str:
        """The word people read: running, stopped, probing, paused."""
        return _LABELS[self]


_LABELS = {
    CircuitState.CLOSED: "running",
    CircuitState.OPEN: "stopped",
    CircuitState.HALF_OPEN: "probing",
    CircuitState.PAUSED: "paused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """The circuit breaker of one destination or one route, and a destination's pace."""

    #: `destination:<name>` or `route:<name>`.
    name: str
    state: CircuitState = CircuitState.CLOSED
    reason: str | None = None
    opened_at: datetime | None = None
    #: When it last closed again: waiting before that does not age a delivery.
    closed_at: datetime | None = None
    probe_at: datetime | None = None
    #: Next free send time of the destination (GCRA), None for never used.
    next_slot_at: datetime | None = None
    #: No send before this (429), whatever the slots say.
    paused_until: datetime | None = None
    #: True where the destination accepts messages and then skips them: only a receipt
    #: of one sent closes the circuit.
    needs_receipt: bool = False
    #: Above 0 while the destination gets one message at a time after an outage: 1, plus
    #: 1 for each such trial in a row whose outcome is unknown too.
    trial_level: int = 0

    @property
    def is_running(self) -> bool:
        """Tell whether ordinary deliveries may pass."""
        return self.state is CircuitState.CLOSED


def destination_circuit(name: str) -> str:
    """Name the circuit breaker of a destination."""
    return f"destination:{name}"


def route_circuit(name: str) -> str:
    """Name the circuit breaker of a route."""
    return f"route:{name}"
