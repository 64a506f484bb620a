"""What Iterable's answers mean for a message: one table, read top to bottom. Pure.

Keeps status, code, names in `params` and the request id of an answer. The text (`msg`)
is never kept: it repeats addresses, and in one case the API key.

References:
    https://api.iterable.com/api/docs (responses of each call, list of codes).
"""

import json
import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Any

from bridge.errors import NotSentError, TransportError
from bridge.http import Reply, date_of
from bridge.model import Classification, FailureScope, Json, Outcome
from bridge.retry import MAX_RETRY_AFTER

#: Attempts worth making where the outcome was unknown: some bad input comes back as a
#: 500, and such a message must not be sent for ever.
MAX_UNKNOWN = 5

# What does not look like this is not repeated in logs and tables: a proxy, or the next
# version of the service, may put anything in its place.
_CODE = re.compile(r"[A-Za-z][A-Za-z.]{0,63}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,63}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_NAMES = 10
_SECONDS = re.compile(r"[0-9]+")
_MAX_DIGITS = 10
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A reply, read leniently: any field may be missing or of any type."""

    status: int
    code: str | None
    #: Names of what `params` holds.
    names: tuple[str, ...]
    request_id: str | None
    #: False where the body is not a JSON object, or was cut.
    is_readable: bool
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, Json] = field(repr=False)
    #: The text in lower case, for the one look at it.
    text: str = field(repr=False)
    #: The body, empty where it is no object.
    document: Mapping[str, Json] = field(repr=False)

    @property
    def scheduled_message_id(self) -> str | None:
        """The id under which a scheduled message can be cancelled."""
        value = self.params.get("scheduledMessageId")
        is_id = type(value) is int and 0 < value <= _MAX_ID
        return str(value) if is_id else None

    @property
    def retry_after(self) -> timedelta | None:
        """What the other side asks to wait, within the cap; None for nothing usable."""
        asked = self._in_header(self.headers.get("retry-after", "").strip())
        if asked is None:
            seconds: Any = self.params.get("rateLimitReset")
            is_number = type(seconds) in (int, float)
            # The comparison is false for NaN.
            asked = _capped(seconds) if is_number and seconds > 0 else None
        return None if asked is None or asked <= timedelta(0) else asked

    def _in_header(self, text: str) -> timedelta | None:
        """Read seconds or a date, which counts from the answer's own `Date`.

        References:
            RFC 9110, 10.2.3.
        """
        if _SECONDS.fullmatch(text):
            # Ten digits of seconds exceed the cap; with some thousands `int` fails.
            return _capped(int(text) if len(text) <= _MAX_DIGITS else inf)
        until, now = date_of(text), date_of(self.headers.get("date", ""))
        return (
            None if until is None or now is None else min(until - now, MAX_RETRY_AFTER)
        )


def read(reply: Reply) -> Response:
    """Read a reply; never fails."""
    document: Json = None
    with suppress(ValueError, RecursionError):
        document = json.loads(reply.body)
    body = document if isinstance(document, dict) else {}
    params = body.get("params")
    params = params if isinstance(params, dict) else {}
    text = body.get("msg")
    return Response(
        status=reply.status,
        code=_known(_CODE, body.get("code")),
        names=tuple(name for name in params if _NAME.fullmatch(name))[:_MAX_NAMES],
        request_id=_known(_REQUEST_ID, reply.headers.get("iterable-request-id")),
        is_readable=isinstance(document, dict) and not reply.is_truncated,
        headers=reply.headers,
        params=params,
        text=text.lower() if isinstance(text, str) else "",
        document=body,
    )


def classify(
    reply: Reply | None,
    error: TransportError | None = None,
    *,
    is_send: bool,
    key_name: str = "the API key",
) -> Outcome:
    """Say how a call ended.

    Args:
        reply: What came back, or None.
        error: Why nothing came back, where `reply` is None.
        is_send: True where a repetition reaches a person once more.
        key_name: The secret to look at where the key is rejected (`ITERABLE_API_KEY`).
    """
    if reply is None:
        return _unanswered(error, is_send=is_send)
    response = read(reply)
    meaning = next(rule.meaning for rule in RULES if rule.matches(response))
    is_retry = meaning.classification is Classification.RETRY
    is_success = meaning.classification is Classification.SUCCESS
    return Outcome(
        classification=meaning.classification,
        reason=_reason(response, meaning.says.format(key=key_name)),
        status=response.status,
        code=response.code,
        params=response.names,
        request_id=response.request_id,
        is_unknown=meaning.is_unknown and is_send,
        retry_after=response.retry_after if is_retry else None,
        pauses_destination=meaning.pauses_destination,
        scope=meaning.scope,
        max_attempts=MAX_UNKNOWN if meaning.is_limited or meaning.is_unknown else None,
        is_unknown_user=response.code in _UNKNOWN_USER,
        message_id=response.scheduled_message_id if is_success else None,
        is_unexpected=is_success
        and (meaning.is_unexpected or not response.is_readable),
    )


def _unanswered(error: TransportError | None, *, is_send: bool) -> Outcome:
    why = "no answer" if error is None else error.reason
    if isinstance(error, NotSentError):
        return Outcome(classification=Classification.RETRY, reason=f"not sent: {why}")
    return Outcome(
        classification=Classification.RETRY,
        reason=f"no whole answer: {why}; whether it was processed is unknown",
        is_unknown=is_send,
        max_attempts=MAX_UNKNOWN,
    )


def _reason(response: Response, says: str) -> str:
    facts = [f"status {response.status}"]
    if response.code is not None:
        facts.append(f"code {response.code}")
    if response.names:
        facts.append(f"params {' '.join(response.names)}")
    return f"{', '.join(facts)}: {says}"


def _known(form: re.Pattern[str], value: Json) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _capped(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, MAX_RETRY_AFTER.total_seconds()))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer means."""

    classification: Classification
    #: In words that say what to do, where something is to be done; may name `{key}`.
    says: str
    scope: FailureScope | None = None
    #: True where it may have been processed all the same.
    is_unknown: bool = False
    pauses_destination: bool = False
    is_unexpected: bool = False
    #: True where it is repeated a few times only, though it was not processed.
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table; what it leaves open matches everything."""

    meaning: Meaning
    statuses: Container[int] = range(1000)
    #: None among them is a missing code.
    codes: Container[str | None] | None = None
    when: Callable[[Response], bool] | None = None

    def matches(self, response: Response) -> bool:
        """Tell whether the row is about this answer."""
        return (
            response.status in self.statuses
            and (self.codes is None or response.code in self.codes)
            and (self.when is None or self.when(response))
        )


def _names_campaign(response: Response) -> bool:
    if response.params:
        return "campaignId" in response.params
    return "invalid campaign" in response.text


def _mistypes_campaign(response: Response) -> bool:
    return "obj.campaignId" in response.params


_RETRY, _CONFIG = Classification.RETRY, Classification.CONFIG
_ROUTE, _DESTINATION = FailureScope.ROUTE, FailureScope.DESTINATION
_CAMPAIGN = "check that it is of this project, triggered, running and of the medium"

_SUCCESS = Meaning(Classification.SUCCESS, "accepted")
_ODD_SUCCESS = Meaning(
    Classification.SUCCESS, "accepted, with an unknown code", is_unexpected=True
)
_SUPPRESSED = Meaning(Classification.SUCCESS_LIKE, "the user asked to be forgotten")
_PERMANENT = Meaning(Classification.PERMANENT, "rejected for good")
_MAYBE = Meaning(_RETRY, "whether it was processed is unknown", is_unknown=True)
_THROTTLED = Meaning(_RETRY, "too many calls for the project", pauses_destination=True)
_UNAVAILABLE = Meaning(_RETRY, "temporarily unavailable")
_UNDOCUMENTED = Meaning(
    _RETRY, "an error that Iterable does not document", is_limited=True
)
_KEY = Meaning(
    _CONFIG,
    "{key} is rejected; check its value, project, data center and kind",
    _DESTINATION,
)
_CLIENT_KEY = Meaning(
    _CONFIG, "{key} is a client-side key; a server-side one is needed", _DESTINATION
)
_HOST = Meaning(_CONFIG, "a redirect; check the data center or base URL", _DESTINATION)
_FORBIDDEN = Meaning(
    _CONFIG, "{key} or the project may not do this; check its permissions", _ROUTE
)
_NOT_FOUND = Meaning(_CONFIG, f"path or campaign is unknown; {_CAMPAIGN}", _ROUTE)
_BAD_CAMPAIGN = Meaning(_CONFIG, f"the campaign is rejected; {_CAMPAIGN}", _ROUTE)
_FIELDS = Meaning(
    _CONFIG, "the project has no room for more fields; clean it up", _ROUTE
)

_OK = range(200, 300)
_UNKNOWN_USER = frozenset({"UnknownUserIdError", "UnknownEmailError"})
_REJECTED = _UNKNOWN_USER | {
    *("BadJsonBody", "BadParams", "BatchTooLarge", "Conflict", "EmailAlreadyExists"),
    *("ExternalKeyConflict", "GenericError", "InvalidEmailAddressError"),
    *("InvalidUserIdError", "QueueEmailError", "RequestFieldsTypesMismatched"),
    "UserIdAlreadyExists",
}

#: In order of evaluation: the first rule that matches is the answer's meaning. Status
#: first, code second: an error status is known to come with code `Success`.
RULES: tuple[Rule, ...] = (
    Rule(_SUCCESS, (202,)),
    Rule(_SUCCESS, _OK, (None, "Success")),
    Rule(_HOST, range(300, 400)),
    Rule(_KEY, (401,)),
    Rule(_FORBIDDEN, (403,)),
    Rule(_NOT_FOUND, (404,)),
    Rule(_MAYBE, (408,)),
    Rule(_THROTTLED, (429,)),
    # Taken as rejected before it was processed.
    Rule(_UNAVAILABLE, (503,)),
    Rule(_MAYBE, (*range(200), *range(500, 1000))),
    # From here on 2xx with a code other than `Success`, and 4xx.
    Rule(_BAD_CAMPAIGN, codes=("BadJsonBody",), when=_mistypes_campaign),
    Rule(_BAD_CAMPAIGN, codes=("BadParams", None), when=_names_campaign),
    Rule(_SUPPRESSED, codes=("ForgottenUserError",)),
    Rule(_FIELDS, codes=("UniqueFieldsLimitExceeded",)),
    Rule(_CLIENT_KEY, codes=("InvalidJwtPayload", "JwtUserIdentifiersMismatched")),
    # Codes of the statuses above; they count where the status says 2xx.
    Rule(_KEY, codes=("BadApiKey", "BadAuthorizationHeader", "Unauthorized")),
    Rule(_FORBIDDEN, codes=("Forbidden", "ForbiddenParamsError")),
    Rule(_NOT_FOUND, codes=("NotFound",)),
    Rule(_THROTTLED, codes=("RateLimitExceeded",)),
    Rule(_MAYBE, codes=("DatabaseError",)),
    Rule(_PERMANENT, codes=_REJECTED),
    Rule(_ODD_SUCCESS, _OK),
    Rule(_PERMANENT, (400, 409, 413, 415, 422)),
    # A proxy's own page, or a status of a later version: dead only after some attempts.
    Rule(_UNDOCUMENTED),
)
