"""What may hold deliveries back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GateState(StrEnum):
    """Whether deliveries may pass."""

    OPEN = "open"
    CLOSED = "closed"  #: by a configuration error; probed until it opens
    PROBING = "probing"  #: closed, and one real delivery may pass
    PAUSED = "paused"  #: by a person; only a person opens it


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What may hold deliveries back: the destination's, or one route's."""

    #: `destination`, or `route:<name>`.
    name: str
    state: GateState
    reason: str | None
    closed_at: datetime | None
    probe_at: datetime | None
    #: Next free send time of the destination (GCRA), None for never used.
    next_slot_at: datetime | None
    #: No send before this (429), whatever the slots say.
    paused_until: datetime | None
    #: True where Iterable takes messages and then skips them: only its report of one
    #: sent opens the gate.
    awaits_proof: bool = False
    #: Above 0 while the destination lets one through at a time: 1, and 1 for each lone
    #: send in a row whose outcome is unknown too.
    narrow: int = 0
