"""What a sandbox received, and the rules that make it fail."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from bridge.model import Json

_STATUSES = range(200, 600)
_USER_KEYS = ("recipientEmail", "email", "recipientUserId", "userId")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request as it came, and what it got."""

    #: Seconds since 1970.
    at: float
    method: str
    path: str
    query: str
    #: The e-mail address wins, as it does at Iterable.
    user: str | None
    #: The campaign named, where it is a number.
    campaign: int | None
    #: JSON, else the text.
    body: Json
    #: From 1; goes on counting when the log is cleared.
    number: int = 0
    #: The status answered; None where the answer was lost.
    status: int | None = None
    #: When the message goes out, in seconds since 1970; None where it never does.
    due: float | None = None

    def shown(self) -> dict[str, Json]:
        """Describe the call for the control API."""
        shown = asdict(self)
        shown["time"] = datetime.fromtimestamp(shown.pop("at"), UTC).isoformat()
        shown["accepted"] = shown.pop("due") is not None
        return shown


def read_call(now: float) -> Call:
    """Read the current Flask request."""
    document = read_json()
    asked = document if isinstance(document, dict) else request.args
    named = [asked.get(name) for name in _USER_KEYS]
    campaign = asked.get("campaignId")
    return Call(
        at=now,
        method=request.method,
        path=request.path,
        query=request.query_string.decode("latin-1"),
        user=next((one for one in named if isinstance(one, str)), None),
        campaign=campaign if type(campaign) is int else None,
        body=request.get_data(as_text=True) if document is None else document,
    )


def read_json() -> Json:
    """Read the current request's body as JSON; None where it is none."""
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """Which calls get what else than the project's own answer.

    Without `status` the project judges as usual, only later, or the answer is lost.
    """

    #: Whom the call is about, exactly; None for anybody. So the next two.
    user: str | None = None
    path: str | None = None
    campaign: int | None = None
    #: Calls to answer; None for all to come.
    times: int | None = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: JSON, or a text that is sent as it is.
    body: Json = None
    #: Whether a message goes out; None: as the status says.
    accepts: bool | None = None
    #: What the receipt says: `sent`, `bounced`, `complained`, `nothing`, or the reason
    #: for which the message is skipped.
    receipt: str | None = None
    #: Seconds of silence before the answer; the message is accepted at once.
    delay: float = 0.0
    #: Closes the connection in place of the answer.
    lost: bool = False

    def answer(self) -> Response:
        """Make the answer that the rule says."""
        is_text = isinstance(self.body, str)
        response = Response(
            self.body if is_text else json.dumps(self.body),
            self.status,
            content_type="text/plain" if is_text else "application/json",
        )
        response.headers.update(self.headers)
        return response

    def matches(self, call: Call) -> bool:
        """Tell whether the rule is about a call."""
        return (
            self.path in (None, call.path)
            and self.user in (None, call.user)
            and self.campaign in (None, call.campaign)
        )

    def shown(self) -> dict[str, Json]:
        """Describe the rule by what it says at all."""
        usual = asdict(Stub())
        return {name: one for name, one in asdict(self).items() if one != usual[name]}


_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("user", "path", "receipt"), (str,)),
    **dict.fromkeys(("campaign", "status"), (int,)),
    **dict.fromkeys(("accepts", "lost"), (bool,)),
    "times": (int, type(None)),
    "delay": (int, float),
    "headers": (dict,),
    "body": (object,),
}


def read_stubs(document: Json) -> list[Stub]:
    """Make rules of one JSON object, or of a list of them: the fields of `Stub`.

    Raises:
        ValueError: It is neither, or something in it is unknown or of the wrong kind.
    """
    forms = document if isinstance(document, list) else [document]
    for form in forms:
        if not isinstance(form, dict):
            raise ValueError("must be an object, or a list of objects")  # noqa: TRY004
        for name, value in form.items():
            _check(name, value)
    return [Stub(**form) for form in forms]


def _check(name: str, value: Any) -> None:
    kinds = _KINDS.get(name)
    if kinds is None:
        raise ValueError(f"{name} is unknown; known are {', '.join(_KINDS)}")
    is_mistaken = isinstance(value, bool) and not {bool, object} & {*kinds}
    if is_mistaken or not isinstance(value, kinds):
        raise ValueError(f"{name} is of the wrong kind")
    if name == "status" and value not in _STATUSES:
        raise ValueError("status must be from 200 to 599")
