"""The table that says what each answer of Iterable means for the message.

Status first, code second: an error status is known to come with code `Success`.

References:
    https://api.iterable.com/api/docs (responses of each call, list of codes).
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.iterable.answer import Answer
from bridge.model import Blame, Classification


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer means."""

    classification: Classification
    #: In words that say what to do, where something is to be done.
    says: str
    blame: Blame | None = None
    #: True where it may have been processed all the same.
    is_unknown: bool = False
    pauses_destination: bool = False
    is_odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table; what it leaves open matches everything."""

    verdict: Verdict
    #: First and last status.
    status: tuple[int, int] = (0, 999)
    #: None among them is a missing code.
    codes: frozenset[str | None] | None = None
    when: Callable[[Answer, str], bool] | None = None

    def matches(self, answer: Answer, path: str) -> bool:
        """Tell whether the row speaks of this answer."""
        first, last = self.status
        if not first <= answer.status <= last:
            return False
        if self.codes is not None and answer.code not in self.codes:
            return False
        return self.when is None or self.when(answer, path)


def _is_bulk(_: Answer, path: str) -> bool:
    return path.endswith(("/events/trackBulk", "/users/bulkUpdate"))


def _is_forbidden_event(answer: Answer, path: str) -> bool:
    is_track = path.endswith("/events/track")
    return is_track and "disallowed from tracking" in answer.text


def _is_nothing_to_cancel(answer: Answer, path: str) -> bool:
    return path.endswith("/cancel") and "no scheduled messages found" in answer.text


def _names_campaign(answer: Answer, _: str) -> bool:
    if answer.params:
        return "campaignId" in answer.params
    return "invalid campaign" in answer.text


def _mistypes_campaign(answer: Answer, _: str) -> bool:
    return not answer.params.keys().isdisjoint({"obj.campaignId", "obj.workflowId"})


_SUCCESS = Verdict(classification=Classification.SUCCESS, says="accepted")
_PERMANENT = Verdict(classification=Classification.PERMANENT, says="refused for good")
_MAYBE = Verdict(
    classification=Classification.RETRY,
    says="whether it was processed is unknown",
    is_unknown=True,
)
_THROTTLED = Verdict(
    classification=Classification.RETRY,
    says="too many calls for the project",
    pauses_destination=True,
)
_TOO_LARGE = Verdict(classification=Classification.RETRY, says="to be sent in parts")
_SUPPRESSED = Verdict(
    classification=Classification.SUCCESS_LIKE, says="the user asked to be forgotten"
)
_CAMPAIGN = "check that it is of this project, triggered, running and of the medium"


def _config(blame: Blame, says: str) -> Verdict:
    return Verdict(classification=Classification.CONFIG, says=says, blame=blame)


_KEY = _config(
    Blame.DESTINATION,
    "the API key is refused; check its value, project, data centre and kind",
)
_CLIENT_KEY = _config(
    Blame.DESTINATION, "the API key is a client-side one; a server-side key is needed"
)
_HOST = _config(Blame.DESTINATION, "a redirect; check the data centre or base URL")
_FORBIDDEN = _config(Blame.ROUTE, "key or project may not do this; check what it may")
_NOT_FOUND = _config(Blame.ROUTE, f"path or campaign is unknown; {_CAMPAIGN}")
_BAD_CAMPAIGN = _config(Blame.ROUTE, f"the campaign is refused; {_CAMPAIGN}")
_FIELDS = _config(Blame.ROUTE, "the project has no room for more fields; clean it up")


def _codes(*codes: str | None) -> frozenset[str | None]:
    return frozenset(codes)


#: In order of evaluation: the first row that matches is the answer's meaning. The last
#: one matches everything.
TABLE: tuple[Row, ...] = (
    Row(status=(200, 299), when=_is_forbidden_event, verdict=_PERMANENT),
    Row(status=(202, 202), verdict=_SUCCESS),
    Row(status=(200, 299), codes=_codes(None, "Success"), verdict=_SUCCESS),
    Row(status=(300, 399), verdict=_HOST),
    Row(status=(401, 401), verdict=_KEY),
    Row(status=(403, 403), verdict=_FORBIDDEN),
    Row(status=(404, 404), verdict=_NOT_FOUND),
    Row(status=(408, 408), verdict=_MAYBE),
    Row(status=(429, 429), verdict=_THROTTLED),
    Row(
        # Taken as refused before it was processed.
        status=(503, 503),
        verdict=Verdict(
            classification=Classification.RETRY, says="temporarily unavailable"
        ),
    ),
    Row(status=(500, 999), verdict=_MAYBE),
    Row(status=(0, 199), verdict=_MAYBE),
    # From here on 2xx with a code other than `Success`, and 4xx.
    Row(codes=_codes("BadJsonBody"), when=_mistypes_campaign, verdict=_BAD_CAMPAIGN),
    Row(codes=_codes("BadParams", None), when=_names_campaign, verdict=_BAD_CAMPAIGN),
    Row(
        codes=_codes("BadParams"),
        when=_is_nothing_to_cancel,
        verdict=Verdict(
            classification=Classification.SUCCESS_LIKE, says="nothing to cancel"
        ),
    ),
    Row(codes=_codes("ForgottenUserError"), verdict=_SUPPRESSED),
    Row(codes=_codes("UniqueFieldsLimitExceeded"), verdict=_FIELDS),
    Row(codes=_codes("BatchTooLarge"), when=_is_bulk, verdict=_TOO_LARGE),
    Row(status=(413, 413), when=_is_bulk, verdict=_TOO_LARGE),
    Row(
        codes=_codes("InvalidJwtPayload", "JwtUserIdentifiersMismatched"),
        verdict=_CLIENT_KEY,
    ),
    # Codes of the statuses above; they count where the status says 2xx.
    Row(
        codes=_codes("BadApiKey", "BadAuthorizationHeader", "Unauthorized"),
        verdict=_KEY,
    ),
    Row(codes=_codes("Forbidden", "ForbiddenParamsError"), verdict=_FORBIDDEN),
    Row(codes=_codes("NotFound"), verdict=_NOT_FOUND),
    Row(codes=_codes("RateLimitExceeded"), verdict=_THROTTLED),
    Row(codes=_codes("DatabaseError"), verdict=_MAYBE),
    Row(
        codes=_codes(
            "BadJsonBody",
            "BadParams",
            "BatchTooLarge",
            "Conflict",
            "EmailAlreadyExists",
            "ExternalKeyConflict",
            "GenericError",
            "InvalidEmailAddressError",
            "InvalidUserIdError",
            "QueueEmailError",
            "RequestFieldsTypesMismatched",
            "UnknownEmailError",
            "UnknownUserIdError",
            "UserIdAlreadyExists",
        ),
        verdict=_PERMANENT,
    ),
    Row(
        status=(200, 299),
        verdict=Verdict(
            classification=Classification.SUCCESS,
            says="accepted, with a code nobody knows",
            is_odd=True,
        ),
    ),
    Row(verdict=_PERMANENT),
)
