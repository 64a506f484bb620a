"""What the sender pool is given to do, and what each comes to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from bridge.model import (
    AttemptResult,
    Circuit,
    Claim,
    Classification,
    FailureScope,
    InDoubtDelivery,
    Outcome,
    Trigger,
)
from bridge.store import Transaction

#: The row whose slots checks of one destination take.
VERIFY_PREFIX = "verify:"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTask:
    """A claim with its place in time, both on the monotonic clock in seconds."""

    claim: Claim
    slot: float
    #: Last moment at which a call may start and still end under the lease.
    latest: float
    #: Names of the circuit breakers in front of it: destination and route.
    circuits: frozenset[str]
    #: The circuit breaker that it may pass although it is not closed, as a trial.
    trial_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What one claim came to, and what it means for the circuit breakers."""

    result: AttemptResult
    outcome: Outcome | None = None
    #: Which circuit breaker a configuration error opens.
    opens: FailureScope | None = None
    #: How long the whole destination shall wait (429).
    pause: timedelta | None = None
    #: As in its `SendTask`.
    trial_of: str | None = None
    #: Keys that the destination does not know, left out of the payload.
    dropped: int = 0
    #: True for a send without an answer, or with one that leaves its outcome unknown.
    is_outage_signal: bool = False

    @property
    def claim(self) -> Claim:
        """The claim it settles."""
        return self.result.claim

    @property
    def is_success(self) -> bool:
        """Tell whether the destination took it, which proves key and campaign."""
        return self.outcome is not None and self.outcome.classification in (
            Classification.SUCCESS,
            Classification.SUCCESS_LIKE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The cheap question whether the cause of an open circuit breaker is fixed."""

    circuit: str
    destination: str
    #: Name of the route to ask about; None asks whether the key is good.
    route: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the destination said to a probe."""

    circuit: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A delivery in doubt whose turn to be checked has come."""

    delivery: InDoubtDelivery
    #: When to ask, on the monotonic clock in seconds.
    slot: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What becomes of one delivery in doubt."""

    delivery_id: str
    #: The attempt about which it was found out.
    attempt_no: int
    trigger: Trigger
    #: Wait before the next step, for what goes on waiting.
    delay: timedelta | None
    #: In plain words.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check came to."""

    delivery: InDoubtDelivery
    #: About every delivery that cannot be distinguished from this one; empty where
    #: nothing could be found out yet.
    resolutions: tuple[Resolution, ...] = ()
    #: When to check again, where there are no resolutions.
    delay: timedelta = timedelta(0)
    #: How long all checks of the destination shall wait (429).
    pause: timedelta | None = None


@dataclass(slots=True, kw_only=True)
class Tick:
    """One transaction of the scheduler, and what is to be done once it is committed."""

    tx: Transaction
    #: As last read in this transaction, by name.
    circuits: Mapping[str, Circuit] = field(default_factory=dict)
    _after: list[Callable[[], object]] = field(default_factory=list)

    def after_commit(
        self, action: Callable[..., object], *args: Any, **kwargs: Any
    ) -> None:
        """Log, count or remember something, unless the transaction is rolled back."""
        self._after.append(partial(action, *args, **kwargs))

    def committed(self) -> None:
        """Do what was put off until the commit."""
        for action in self._after:
            action()

    def circuit(self, name: str) -> Circuit:
        """Return a circuit breaker as last read; an untouched one is closed."""
        return self.circuits.get(name) or Circuit(name=name)
