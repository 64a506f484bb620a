"""What a sending thread is given to do."""

from dataclasses import dataclass

from bridge.model import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claim with its place in time, both on the monotonic clock in seconds."""

    claim: Claim
    slot: float
    #: Last moment at which a call may start and still end under the lease.
    latest: float
    #: True where being late would crowd the slots after it.
    is_punctual: bool = False
    #: The closed gate this one may pass.
    probes: str | None = None
