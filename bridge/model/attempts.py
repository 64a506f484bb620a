"""One HTTP call: how it ended, and what that means for its delivery and the gates."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.states import Cause

#: `email/target` and its siblings: the path below `/api/` an attempt posts to.
ENDPOINTS = (
    "email/target",
    "sms/target",
    "push/target",
    "inApp/target",
    "webPush/target",
    "whatsApp/target",
)


class Classification(StrEnum):
    """What Iterable's answer means for the message (contract, section 4)."""

    SUCCESS = "SUCCESS"
    SUCCESS_LIKE = "SUCCESS_LIKE"
    RETRY = "RETRY"
    PERMANENT = "PERMANENT"
    CONFIG = "CONFIG"


class Blame(StrEnum):
    """Which gate a configuration error closes."""

    DESTINATION = "destination"  #: key or host
    ROUTE = "route"  #: campaign, or what the route asks of the project


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one HTTP call ended, with nothing personal in it."""

    classification: Classification
    #: One sentence made of status, code and keys of `params`; never Iterable's text.
    reason: str
    #: HTTP status, None where no answer came.
    status: int | None = None
    code: str | None = None
    #: Keys of `params` in the answer.
    params: tuple[str, ...] = ()
    #: `iterable-request-id` of the answer.
    request_id: str | None = None
    #: True when the message may have been processed all the same.
    is_unknown: bool = False
    #: What the other side asked for, within its cap.
    retry_after: timedelta | None = None
    #: True when the wait concerns the whole project (429).
    pauses_destination: bool = False
    blame: Blame | None = None
    #: Most attempts worth making on this kind of answer, None for no limit of its own.
    max_attempts: int | None = None
    scheduled_message_id: int | None = None
    #: The answer was unreadable though successful; worth a count.
    is_odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP call at one delivery."""

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
    payload: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a worker has to say of one claim."""

    delivery_id: str
    token: str
    cause: Cause
    #: In plain words; None where there is nothing to say.
    reason: str | None
    #: Wait before the next step, for what goes on waiting.
    delay: timedelta | None = None
    attempt: Attempt | None = None
    #: False where the attempt shall not be held against the delivery (closed gate).
    is_counted: bool = True
    scheduled_message_id: int | None = None
