"""The Iterable project that the sandbox plays: it judges the current Flask request.

It takes any key and knows every user; every number is a running campaign of the medium
that is asked for. Answers keep to what Iterable's official TypeScript client accepts:
no null where a number or a text belongs.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from flask import Response, request

from bridge.integrations.iterable.sandbox.calls import Call
from bridge.model import Json

#: Path of each medium, and the medium as campaigns spell it.
MEDIA = {
    "/api/email/target": "Email",
    "/api/sms/target": "SMS",
    "/api/push/target": "Push",
    "/api/inApp/target": "InApp",
    "/api/webPush/target": "WebPush",
    "/api/whatsApp/target": "WhatsApp",
}
#: What a path that does not exist gets: a page, not JSON.
_NOT_FOUND = (
    "<!DOCTYPE html><html><head><title>Action not found</title></head>"
    "<body><h1>Action not found</h1></body></html>"
)
#: The limit where Iterable states one (`users/bulkUpdate`).
MAX_BODY_BYTES = 4_000_000
_YEAR_SECONDS = 365 * 86400
_DOMAIN = "@resolved.example"
_MOST_LISTED = 1000
_SCHEDULED_ID = 891_000_001
_CREATED_AT = 1_507_132_666_956
_TEMPLATE_ID = 237422
_USER_ID = re.compile(r"[ -~]{0,51}[!-~]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_SEND_AT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: \+0000)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: ?([+-]\d\d:?\d\d))?")
_NUMBER = re.compile(r"[1-9]\d{0,17}")
#: Type of each field, and how Iterable's parser words that it is of another.
_TYPES: Mapping[str, tuple[type, str]] = {
    "campaignId": (int, "error.expected.jsnumber"),
    "recipientEmail": (str, "error.expected.jsstring"),
    "recipientUserId": (str, "error.expected.jsstring"),
    "dataFields": (dict, "error.expected.jsobject"),
    "sendAt": (str, "error.expected.jsstring"),
    "allowRepeatMarketingSends": (bool, "error.expected.jsboolean"),
    "metadata": (dict, "error.expected.jsobject"),
}


class Verdict(NamedTuple):
    """What the project says to a call."""

    response: Response
    #: When the message goes out, in seconds since 1970; None where none does.
    due: float | None = None


class _RejectedError(Exception):
    """The call is answered by an error of Iterable's usual form."""

    def __init__(self, code: str, message: str, params: Json = None) -> None:
        self.code, self.message, self.params = code, message, params
        super().__init__(code)


def judge(call: Call, received: Sequence[Call]) -> Verdict:
    """Answer the current request.

    Args:
        call: The request.
        received: The calls before it, oldest first.
    """
    if not request.headers.get("Api-Key"):
        params = {"ip": "127.0.0.1", "endpoint": call.path}
        return Verdict(_answer(401, "BadApiKey", "Invalid API key", params))
    try:
        if call.method == "POST" and call.path in MEDIA:
            return _target(call, _SCHEDULED_ID + len(received))
        if call.method == "GET":
            return Verdict(_read(call, received))
    except _RejectedError as error:
        return Verdict(_answer(400, error.code, error.message, error.params))
    return Verdict(Response(_NOT_FOUND, 404))


def address_of(user_id: str) -> str:
    """Give the e-mail address of a user."""
    return user_id + _DOMAIN


def _target(call: Call, scheduled_id: int) -> Verdict:
    """Judge a call that sends one message."""
    if len(request.get_data()) > MAX_BODY_BYTES:
        words = "Request Entity Too Large"
        return Verdict(Response(words, 413, content_type="text/plain"))
    body = _checked_body(call)
    # The answer names an address that the caller need never have known.
    number, address = body["campaignId"], _recipient(body)
    due = _due(body.get("sendAt"), call.at)
    if due <= call.at:
        words = f"Campaign {number} - Sent triggered message to: {address}"
        return Verdict(_answer(200, "Success", words), call.at)
    time = f"{datetime.fromtimestamp(due, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    words = f"Campaign {number} - Scheduled triggered message for: {time} to: {address}"
    params = {"scheduledMessageId": scheduled_id}
    return Verdict(_answer(200, "Success", words, params), due)


def _recipient(body: Mapping[str, Json]) -> str:
    address, user_id = body.get("recipientEmail"), body.get("recipientUserId")
    if address is not None:
        if _EMAIL.fullmatch(address) is None:
            words = f"Invalid email: {address}"
            raise _RejectedError("InvalidEmailAddressError", words)
        return str(address)
    if user_id is None:
        words = "Either recipientEmail or recipientUserId must be specified"
        raise _RejectedError("BadParams", words, {})
    if _USER_ID.fullmatch(user_id) is None:
        raise _RejectedError("InvalidUserIdError", f"Invalid userId: {user_id}")
    return address_of(user_id)


def _read(call: Call, received: Sequence[Call]) -> Response:
    """Answer a GET; a path that does not exist gets Iterable's page for that."""
    folder, _, name = call.path.rpartition("/")
    if call.path == "/api/campaigns":
        return as_json({"campaigns": [], "totalCampaignsCount": 0})
    if folder == "/api/campaigns" and _NUMBER.fullmatch(name):
        return as_json(_campaign(int(name)))
    if call.path == "/api/users/getSentMessages":
        return as_json({"messages": _sent_messages(call.at, received)})
    return Response(_NOT_FOUND, 404)


def _campaign(number: int) -> dict[str, Json]:
    return {
        "id": number,
        "name": f"Campaign {number}",
        "type": "Triggered",
        "campaignState": "Running",
        "messageMedium": "Email",
        "templateId": _TEMPLATE_ID,
        "labels": [],
        "listIds": [],
        "suppressionListIds": [],
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
        # Staff addresses, as the real answer has: they must not be printed.
        "createdByUserId": "author@example.com",
        "updatedByUserId": "author@example.com",
    }


def _sent_messages(now: float, received: Sequence[Call]) -> list[Json]:
    user_id, address = request.args.get("userId"), request.args.get("email")
    if not user_id and not address:
        raise _invalid("userId")
    # Every name under which the user may have been sent to.
    names = [user_id, address_of(user_id)] if user_id else [address]
    names += [address.removesuffix(_DOMAIN)] if address else []
    known = {one.lower() for one in names if one}
    wanted = set(filter(None, request.args.get("campaignIds", "").split(",")))
    begin, limit = _time("startDateTime"), request.args.get("limit") or "10"
    if _NUMBER.fullmatch(limit) is None:
        raise _invalid("limit")
    found = [
        _message(one, one.due)
        for one in received
        if one.due is not None
        # Iterable shows whole seconds, so whole seconds are compared.
        and begin <= int(one.due) <= now
        and (one.user or "").lower() in known
        and (not wanted or str(one.campaign) in wanted)
    ]
    return found[::-1][: min(int(limit), _MOST_LISTED)]


def as_json(document: Json, status: int = 200) -> Response:
    """Make an answer of JSON."""
    return Response(json.dumps(document), status, content_type="application/json")


def _answer(status: int, code: str, message: str, params: Json = None) -> Response:
    """Make an answer of Iterable's usual form, success included."""
    return as_json({"msg": message, "code": code, "params": params}, status)


def _invalid(name: str) -> _RejectedError:
    return _RejectedError("BadParams", f"Invalid {name}", {name: name})


def _checked_body(call: Call) -> Mapping[str, Json]:
    body = call.body
    if not isinstance(body, dict):
        raise _bad_json(call, {})
    faults = {
        f"obj.{name}": words
        for name, (kind, words) in _TYPES.items()
        # `type`, not `isinstance`: true is no number. Null is as good as absent.
        if body.get(name) is not None and type(body[name]) is not kind
    }
    if body.get("campaignId") is None:
        faults["obj.campaignId"] = "error.path.missing"
    if faults:
        raise _bad_json(call, faults)
    return body


def _bad_json(call: Call, faults: Mapping[str, str]) -> _RejectedError:
    """Repeat the whole request in the text, API key included, as Iterable does."""
    headers = ", ".join(f"({name},{text})" for name, text in request.headers)
    text = request.get_data(as_text=True)
    message = f"[{call.path}] body: {text}, hdrs: List({headers})"
    params = {name: [{"msg": [words], "args": []}] for name, words in faults.items()}
    return _RejectedError("BadJsonBody", message, params)


def _due(send_at: str | None, now: float) -> float:
    """Find when a message goes out."""
    if send_at is None:
        return now
    match = _SEND_AT.fullmatch(send_at)
    try:
        due = datetime.fromisoformat(f"{match[1]}+00:00").timestamp() if match else None
    except ValueError:
        due = None
    if due is None or due > now + _YEAR_SECONDS:
        raise _RejectedError("BadParams", "Invalid sendAt", {"sendAt": send_at})
    return max(due, now)


def _time(name: str) -> float:
    text = request.args.get(name)
    if not text:
        return 0.0
    match = _TIME.fullmatch(text)
    try:
        if match is not None:
            return datetime.fromisoformat(match[1] + (match[2] or "+00:00")).timestamp()
    except ValueError:
        pass
    raise _invalid(name)


def _message(one: Call, due: float) -> dict[str, Json]:
    time = f"{datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M:%S} +00:00"
    return {
        "messageId": f"{one.number:032x}",
        "campaignId": one.campaign,
        "templateId": _TEMPLATE_ID,
        "messageMedium": MEDIA[one.path],
        "status": "Sent",
        "createdAt": time,
        "sentAt": time,
    }
