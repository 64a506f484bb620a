"""What people did: an entry for each action on a delivery, event or circuit."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a person did."""

    REDELIVER = "redeliver"
    RESOLVE_SENT = "resolve_sent"
    DROP = "drop"
    REPLAY = "replay"
    PAUSE = "pause"
    RESUME = "resume"
    FORGET = "forget"
    EXPORT = "export"
    REVEAL = "reveal"
    DISMISS = "dismiss"  #: a parked event, closed


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One action of one person."""

    at: datetime
    #: `cli`, `console`, or an operator's name.
    actor: str
    action: Action
    #: Id of the delivery or event; None for an action on a circuit breaker.
    target_id: str | None = None
    circuit: str | None = None
    #: The status before.
    status: str | None = None
    reason: str | None = None
