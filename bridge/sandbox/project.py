"""The Iterable project that the sandbox plays: its key, its campaigns, its users.

Judges calls; no network, and the time is handed in.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Literal, NamedTuple

from bridge.model import Json
from bridge.sandbox.answers import Answer, answer, refusal
from bridge.sandbox.calls import Call

#: Path of each medium, and the medium as campaigns spell it.
MEDIA = {
    "/api/email/target": "Email",
    "/api/sms/target": "SMS",
    "/api/push/target": "Push",
    "/api/inApp/target": "InApp",
    "/api/webPush/target": "WebPush",
    "/api/whatsApp/target": "WhatsApp",
}
#: The limit where Iterable states one (`users/bulkUpdate`).
MAX_BODY_BYTES = 4_000_000
#: Media for which a call to an unknown address makes the user.
_MAKE_USERS = ("Email", "InApp")
_SENDABLE = ("Triggered", "Running")
_YEAR_SECONDS = 365 * 86400
_USER_ID = re.compile(r"[ -~]{0,51}[!-~]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_SEND_AT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: \+0000)?")

#: Kind of each field, and how Iterable words that it is of another: as its parser
#: does, and in the newer answers' own words.
_KINDS: Mapping[str, tuple[type, str, str]] = {
    "campaignId": (int, "error.expected.jsnumber", "Number value expected"),
    "recipientEmail": (str, "error.expected.jsstring", "String value expected"),
    "recipientUserId": (str, "error.expected.jsstring", "String value expected"),
    "dataFields": (dict, "error.expected.jsobject", "Object value expected"),
    "sendAt": (str, "error.expected.jsstring", "String value expected"),
    "allowRepeatMarketingSends": (
        bool,
        "error.expected.jsboolean",
        "Boolean value expected",
    ),
    "metadata": (dict, "error.expected.jsobject", "Object value expected"),
}
_MISSING = ("error.path.missing", "Field is required")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign of the project."""

    id: int
    medium: str = "Email"
    type: str = "Triggered"
    state: str = "Running"


class Verdict(NamedTuple):
    """What the project says to a call."""

    answer: Answer
    #: When the message goes out, in seconds since 1970; None where none does.
    due: float | None = None


class Project:
    """One Iterable project.

    Args:
        api_key: The only key it takes; None takes any.
        users: E-mail address of each `userId`; None knows everybody.
        campaigns: Its campaigns; None has every number as a running e-mail campaign.
        json_errors: Which of its two forms `BadJsonBody` has. The older one repeats
            the whole request in its text, API key included.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        users: Mapping[str, str] | None = None,
        campaigns: Iterable[Campaign] | None = None,
        json_errors: Literal["older", "newer"] = "older",
    ) -> None:
        self._api_key = api_key
        self._users = users
        self._addresses = {address.lower() for address in (users or {}).values()}
        self._campaigns = None if campaigns is None else {c.id: c for c in campaigns}
        self._is_older = json_errors == "older"
        self._scheduled = count(891_000_001)

    @property
    def campaigns(self) -> list[Campaign]:
        """The campaigns it was given, in the order of their numbers."""
        return sorted((self._campaigns or {}).values(), key=lambda one: one.id)

    def campaign(self, number: int) -> Campaign | None:
        """Find a campaign."""
        if self._campaigns is None:
            return Campaign(id=number)
        return self._campaigns.get(number)

    def address(self, user_id: str) -> str | None:
        """Find a user's e-mail address; None where nobody has that id."""
        if self._users is None:
            return f"{user_id}@resolved.example"
        return self._users.get(user_id)

    def user_id(self, address: str) -> str | None:
        """Find the `userId` that belongs to an e-mail address."""
        known = (self._users or {}).items()
        return next((one for one, at in known if at.lower() == address.lower()), None)

    def refuse_key(self, call: Call) -> Answer | None:
        """Refuse a call without the right key."""
        headers = call.headers
        key = headers.get("api-key") or headers.get("api_key")
        if key and self._api_key in (None, key):
            return None
        params = {"ip": "127.0.0.1", "endpoint": call.path}
        return refusal(401, "BadApiKey", "Invalid API key", params)

    def target(self, call: Call, now: float) -> Verdict:
        """Judge a call that sends one message."""
        refused = self._bad_body(call)
        if refused is not None:
            return Verdict(refused)
        medium, body = MEDIA[call.path], call.document
        refused = self._bad_campaign(body["campaignId"], medium)
        refused = refused or self._bad_recipient(body, medium)
        if refused is not None:
            return Verdict(refused)
        return self._send(body, now)

    def _bad_body(self, call: Call) -> Answer | None:
        if len(call.body) > MAX_BODY_BYTES:
            return Answer(413, b"Request Entity Too Large", content_type="text/plain")
        body = call.document
        if not isinstance(body, dict):
            return self._bad_json(call, {})
        faults = {
            f"obj.{name}": kind[1:]
            for name, kind in _KINDS.items()
            # `type`, not `isinstance`: true is no number. Null is as good as absent.
            if body.get(name) is not None and type(body[name]) is not kind[0]
        }
        if body.get("campaignId") is None:
            faults["obj.campaignId"] = _MISSING
        return self._bad_json(call, faults) if faults else None

    def _bad_json(self, call: Call, faults: Mapping[str, tuple[str, str]]) -> Answer:
        params: Json
        if self._is_older:
            headers = ", ".join(
                f"({name},{text})" for name, text in call.headers.items()
            )
            text = call.body.decode("utf-8", "replace")
            message = f"[{call.path}] body: {text}, hdrs: List({headers})"
            params = {
                name: [{"msg": [words[0]], "args": []}]
                for name, words in faults.items()
            }
        else:
            message = f"[{call.path}] Invalid JSON body"
            params = {name: words[1] for name, words in faults.items()}
        return refusal(400, "BadJsonBody", message, params)

    def _bad_campaign(self, number: int, medium: str) -> Answer | None:
        campaign = self.campaign(number)
        if campaign is not None and (campaign.type, campaign.state) == _SENDABLE:
            is_open = self._campaigns is None
            if is_open or campaign.medium.lower() == medium.lower():
                return None
        words = "Invalid campaignId" if medium == "Email" else "Invalid Campaign Id"
        return refusal(400, "BadParams", words, {"campaignId": str(number)})

    def _bad_recipient(self, body: Mapping[str, Json], medium: str) -> Answer | None:
        address, user_id = body.get("recipientEmail"), body.get("recipientUserId")
        if address is not None:
            return self._bad_address(address, medium)
        if user_id is None:
            words = "Either recipientEmail or recipientUserId must be specified"
            return refusal(400, "BadParams", words, {})
        if _USER_ID.fullmatch(user_id) is None:
            words = f"Invalid userId: {user_id}"
            return refusal(400, "InvalidUserIdError", words)
        if self.address(user_id) is None:
            words = f"No user exists with userId {user_id}"
            return refusal(400, "UnknownUserIdError", words)
        return None

    def _bad_address(self, address: str, medium: str) -> Answer | None:
        if _EMAIL.fullmatch(address) is None:
            words = f"Invalid email: {address}"
            return refusal(400, "InvalidEmailAddressError", words)
        if self._users is None or address.lower() in self._addresses:
            return None
        if medium in _MAKE_USERS:
            self._addresses.add(address.lower())
            return None
        return refusal(400, "UnknownEmailError", f"No user exists with email {address}")

    def _send(self, body: Mapping[str, Json], now: float) -> Verdict:
        number, address = body["campaignId"], body.get("recipientEmail")
        if address is None:
            # The answer names an address that the caller need never have known.
            address = self.address(body["recipientUserId"])
        due = self._due(body.get("sendAt"), now)
        if due is None:
            words = "Invalid sendAt"
            return Verdict(refusal(400, "BadParams", words, {"sendAt": body["sendAt"]}))
        if due <= now:
            words = json.dumps(
                f"Campaign {number} - Sent triggered message to: {address}"
            )
            text = f'{{"msg":{words},"code":"Success","params":null}}'
            return Verdict(Answer(200, text.encode()), now)
        moment = f"{datetime.fromtimestamp(due, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        words = f"Campaign {number} - Scheduled triggered message for: {moment}"
        document = {
            "msg": f"{words} to: {address}",
            "code": "Success",
            "params": {"scheduledMessageId": next(self._scheduled)},
        }
        return Verdict(answer(200, document), due)

    def _due(self, send_at: str | None, now: float) -> float | None:
        """Find when a message goes out; None where it cannot be said."""
        if send_at is None:
            return now
        match = _SEND_AT.fullmatch(send_at)
        try:
            due = datetime.fromisoformat(f"{match[1]}+00:00") if match else None
        except ValueError:
            return None
        if due is None or due.timestamp() > now + _YEAR_SECONDS:
            return None
        return max(due.timestamp(), now)
