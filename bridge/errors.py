"""The exception tree: the class is the decision, the attributes are the facts.

BridgeError
├─ ConfigError           start refused, exit code 2
├─ SignatureError        401, nothing parsed, nothing stored
├─ EnvelopeError         the event is parked
├─ CaptureError          refused: a file is no captured webhook
├─ RecipientError        the event is parked, or its delivery held
├─ RenderError           the delivery is held
├─ StoreUnavailable      503 with Retry-After
├─ TransitionError       refused: the state table has no such transition
├─ WorkerDiedError       the process ends and is started again
├─ VendorError           refused: a vendor's API gave no usable answer
│  └─ VendorRejected        it answered with an error that a repeat would not change
└─ TransportError
   ├─ NotSentError       nothing was written: send again later
   └─ NoAnswerError      written, outcome unknown: in doubt
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
    """The request is not authenticated.

    Attributes:
        challenge: How to authenticate, for `WWW-Authenticate`.
    """

    def __init__(self, reason: str, challenge: str = "Signature") -> None:
        self.challenge = challenge
        super().__init__(reason)


class EnvelopeError(ReasonError):
    """The webhook cannot be read as one or more messages."""


class CaptureError(ReasonError):
    """A file is no captured webhook; the reason names file and line."""


class RecipientError(ReasonError):
    """No usable recipient can be named."""


class RenderError(ReasonError):
    """The template cannot make a payload of this message.

    Attributes:
        template: File name below the templates folder.
        line: Line in the template, counted from 1, where known.
    """

    def __init__(self, reason: str, *, template: str, line: int | None = None) -> None:
        self.template = template
        self.line = line
        where = template if line is None else f"{template} line {line}"
        super().__init__(f"{where}: {reason}")


class StoreUnavailable(ReasonError):  # noqa: N818 - a state of the store, not a mistake
    """The store did not accept the write in time; nothing of it was kept."""


class TransitionError(ReasonError):
    """The state table has no such transition."""


class WorkerDiedError(BridgeError):
    """A part that the process needs has ended unexpectedly."""


class VendorError(ReasonError):
    """A vendor's API gave no usable answer to a question."""


class VendorRejected(VendorError):  # noqa: N818 - an answer, not a mistake
    """A vendor's API answered with an error that a repeat would not change.

    Attributes:
        status: HTTP status.
        resource: The kind of object that was not found, as the answer names it.
    """

    def __init__(
        self, reason: str, *, status: int, resource: str | None = None
    ) -> None:
        self.status = status
        self.resource = resource
        super().__init__(reason)


class TransportError(ReasonError):
    """An HTTP call brought no answer."""


class NotSentError(TransportError):
    """The connection was never made, so the other side processed nothing."""


class NoAnswerError(TransportError):
    """The request was written and no whole answer came: the outcome is unknown."""
