"""How a call to Iterable ended, from what came back or did not.

Pure: no clock, no I/O.
"""

from bridge.errors import NotSentError, TransportError
from bridge.http import Reply
from bridge.iterable.answer import Answer, read
from bridge.iterable.table import TABLE, Verdict
from bridge.model import Classification, Outcome

#: Attempts worth making where the outcome was unknown: some bad input comes back as a
#: 500, and such a message shall not be sent for ever.
MAX_UNKNOWN = 5


def classify(
    method_path: str, reply: Reply | None, error: TransportError | None
) -> Outcome:
    """Say how a call ended.

    Args:
        method_path: Method and path (`POST /api/email/target`): only some calls do
            harm when they are repeated.
        reply: What came back, or None.
        error: Why nothing came back, where `reply` is None.
    """
    if reply is None:
        return _unanswered(method_path, error)
    answer = read(reply)
    verdict = next(row.verdict for row in TABLE if row.matches(answer, method_path))
    is_retry = verdict.classification is Classification.RETRY
    is_success = verdict.classification is Classification.SUCCESS
    return Outcome(
        classification=verdict.classification,
        reason=_reason(answer, verdict),
        status=answer.status,
        code=answer.code,
        params=answer.keys,
        request_id=answer.request_id,
        is_unknown=verdict.is_unknown and _is_send(method_path),
        retry_after=answer.retry_after if is_retry else None,
        pauses_destination=verdict.pauses_destination,
        blame=verdict.blame,
        max_attempts=MAX_UNKNOWN if verdict.is_unknown else None,
        scheduled_message_id=answer.scheduled_message_id if is_success else None,
        is_odd=is_success and (verdict.is_odd or not answer.is_readable),
    )


def _unanswered(method_path: str, error: TransportError | None) -> Outcome:
    why = "no answer" if error is None else error.reason
    if isinstance(error, NotSentError):
        return Outcome(classification=Classification.RETRY, reason=f"not sent: {why}")
    return Outcome(
        classification=Classification.RETRY,
        reason=f"no whole answer: {why}; whether it was processed is unknown",
        is_unknown=_is_send(method_path),
        max_attempts=MAX_UNKNOWN,
    )


def _reason(answer: Answer, verdict: Verdict) -> str:
    facts = [f"status {answer.status}"]
    if answer.code is not None:
        facts.append(f"code {answer.code}")
    if answer.keys:
        facts.append(f"params {' '.join(answer.keys)}")
    return f"{', '.join(facts)}: {verdict.says}"


def _is_send(method_path: str) -> bool:
    """Tell whether a repetition reaches a person once more."""
    return method_path.endswith(("/target", "/workflows/triggerWorkflow"))
