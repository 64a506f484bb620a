"""One HTTP call: how it ended, and what follows for delivery and circuit breakers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.deliveries import Claim
from bridge.model.states import Trigger


class Classification(StrEnum):
    """What a destination's answer means for the message."""

    SUCCESS = "SUCCESS"
    #: Taken, and rightly not sent (a forgotten user): never repeated.
    SUCCESS_LIKE = "SUCCESS_LIKE"
    RETRY = "RETRY"
    PERMANENT = "PERMANENT"
    #: Key, campaign or project are wrong: a circuit breaker opens.
    CONFIG = "CONFIG"


class FailureScope(StrEnum):
    """Which circuit breaker a configuration error opens."""

    DESTINATION = "destination"  #: key or host
    ROUTE = "route"  #: campaign, or what the route asks of the project


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one HTTP call ended, with nothing personal in it."""

    classification: Classification
    #: One sentence made of status, code and keys of the answer; never vendor text.
    reason: str
    #: HTTP status, None where no answer came.
    status: int | None = None
    code: str | None = None
    #: Names of the parameters in the answer.
    params: tuple[str, ...] = ()
    #: The vendor's request id in the answer.
    request_id: str | None = None
    #: True when the message may have been processed all the same.
    is_unknown: bool = False
    #: What the other side asked for, within its cap.
    retry_after: timedelta | None = None
    #: True when the wait concerns the whole destination (429).
    pauses_destination: bool = False
    scope: FailureScope | None = None
    #: Most attempts worth making on this kind of answer; None for no limit of its own.
    max_attempts: int | None = None
    #: True where the destination does not know the person (yet).
    is_unknown_user: bool = False
    #: The destination's id of the message it will send, where it gives one.
    message_id: str | None = None
    #: The answer was unreadable though successful; worth a count.
    is_unexpected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP call for one delivery."""

    #: From 1, over the delivery's whole life.
    number: int
    started_at: datetime
    duration: timedelta
    #: A word of `Classification`, or `unknown`, `unsent`.
    outcome: str
    status: int | None
    code: str | None
    reason: str
    request_id: str | None
    #: The bytes sent, None where nothing was.
    payload: bytes | None = field(repr=False)

    @property
    def ended_at(self) -> datetime:
        """Tell when the call ended."""
        return self.started_at + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What the store writes about one claim."""

    claim: Claim
    trigger: Trigger
    #: In plain words; None where there is nothing to say.
    reason: str | None
    #: Wait before the next step, for what goes on waiting.
    delay: timedelta | None = None
    attempt: Attempt | None = None
    #: False where the attempt must not count against the delivery (open circuit).
    is_counted: bool = True
    message_id: str | None = None
