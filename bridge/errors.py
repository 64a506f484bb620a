"""The exception tree: the class is the decision, the attributes are the facts.

BridgeError
├─ ConfigError         start refused, exit code 2
├─ SignatureError      401, nothing parsed, nothing stored
├─ EnvelopeError       the event is parked
├─ CaptureError        refused: a file named is no captured webhook
├─ RecipientError      the event is parked, or its delivery held
├─ RenderError         the delivery is held
├─ StoreUnavailable    503 with Retry-After
├─ ThreadDiedError     the process ends, and is started anew
├─ TransitionError     refused: the state table has no such step
├─ VoucherifyError     refused: Voucherify's API gave no usable answer
│  └─ VoucherifyRefusal   with an answer that says why
└─ TransportError
   ├─ NotSentError     nothing was written: send again later
   └─ NoAnswerError    written, outcome unknown: in doubt
"""

from collections.abc import Sequence
from dataclasses import dataclass


class BridgeError(Exception):
    """Something the bridge has an answer to."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration, and where."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(BridgeError):
    """The configuration cannot be used; every problem found is listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ReasonError(BridgeError):
    """An error that is one sentence a person can act on."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class SignatureError(ReasonError):
    """The request is not proven to come from whom it must come from.

    Attributes:
        challenge: How to prove it, for `WWW-Authenticate`.
    """

    def __init__(self, reason: str, challenge: str = "Voucherify-Signature") -> None:
        self.challenge = challenge
        super().__init__(reason)


class EnvelopeError(ReasonError):
    """The webhook cannot be read as one or more rewards."""


class CaptureError(ReasonError):
    """A file is no captured webhook; the reason names file and line."""


class RecipientError(ReasonError):
    """No usable Iterable recipient can be named."""


class RenderError(ReasonError):
    """The template cannot make a payload of this reward.

    Attributes:
        template: File name below the templates folder.
        line: Line in the template, counted from 1, where known.
    """

    def __init__(self, reason: str, *, template: str, line: int | None = None) -> None:
        self.template = template
        self.line = line
        where = template if line is None else f"{template} line {line}"
        super().__init__(f"{where}: {reason}")


class ThreadDiedError(BridgeError):
    """A thread that the process cannot do without has died."""


class StoreUnavailable(ReasonError):  # noqa: N818 - a state of the store, not a mistake
    """The store did not take the write in time; nothing of it was kept."""


class TransitionError(ReasonError):
    """The state table has no such step."""


class VoucherifyError(ReasonError):
    """Voucherify's API gave no usable answer."""


class VoucherifyRefusal(VoucherifyError):  # noqa: N818 - an answer, not a mistake
    """Voucherify's API answered with an error that asking again would not change.

    Attributes:
        status: HTTP status.
        resource: The kind of object that was not found, as the answer names it.
    """

    def __init__(self, reason: str, *, status: int, resource: str | None) -> None:
        self.status = status
        self.resource = resource
        super().__init__(reason)


class TransportError(ReasonError):
    """An HTTP call brought no answer."""


class NotSentError(TransportError):
    """The connection was never made, so the other side processed nothing."""


class NoAnswerError(TransportError):
    """The request was written and no whole answer came: the outcome is unknown."""
