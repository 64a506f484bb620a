"""A check asked for, and what it came to."""

from dataclasses import dataclass
from datetime import timedelta

from bridge.model import Cause
from bridge.store import Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A delivery in doubt whose turn to be checked has come."""

    doubt: Doubt
    #: When to ask, on the monotonic clock in seconds.
    slot: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What becomes of one delivery in doubt."""

    delivery_id: str
    #: The attempt about which it was found out.
    number: int
    cause: Cause
    #: Wait before the next step, for what goes on waiting.
    delay: timedelta | None
    #: In plain words.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check came to."""

    doubt: Doubt
    #: About every delivery that cannot be told from this one; empty where there was
    #: nothing to be found out yet.
    conclusions: tuple[Conclusion, ...] = ()
    #: When to look again, where there are no conclusions.
    delay: timedelta = timedelta(0)
    #: How long all checks shall wait (429).
    pause: timedelta | None = None
