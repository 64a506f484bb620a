"""Iterable's reading calls: campaigns, users, and the messages a user was sent."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import unquote

from bridge.model import Json
from bridge.sandbox.answers import Answer, answer, refusal
from bridge.sandbox.calls import Call, Received, name_of
from bridge.sandbox.project import MEDIA, Campaign, Project

#: What a path that does not exist gets: a page, not JSON.
NOT_FOUND = Answer(
    404,
    b"<!DOCTYPE html><html><head><title>Action not found</title></head>"
    b"<body><h1>Action not found</h1></body></html>",
    content_type="text/html",
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ?([+-]\d\d:?\d\d)")
_MADE_AT = 1_507_132_666_956


class ParameterError(ValueError):
    """A parameter of the query is unusable; the argument is its name."""


class Reads:
    """Answers the reading calls.

    Args:
        project: Whose campaigns and users.
        received: Lists the calls about a person, oldest first.
    """

    def __init__(
        self,
        project: Project,
        received: Callable[[Iterable[str]], Iterable[Received]],
    ) -> None:
        self._project = project
        self._received = received
        self._fixed: Mapping[str, Callable[[Call, float], Answer]] = {
            "/api/campaigns": self._campaigns,
            "/api/users/byUserId": self._by_user_id,
            "/api/users/getByEmail": self._by_email,
            "/api/users/getSentMessages": self._sent_messages,
        }

    def answer(self, call: Call, now: float) -> Answer:
        """Answer a GET; a path that does not exist gets Iterable's page for that."""
        fixed = self._fixed.get(call.path)
        try:
            if fixed is not None:
                return fixed(call, now)
        except ParameterError as error:
            name = str(error)
            return refusal(400, "BadParams", f"Invalid {name}", {name: name})
        folder, _, name = call.path.rpartition("/")
        if folder == "/api/campaigns" and re.fullmatch(r"\d{1,18}", name):
            return self._campaign(int(name))
        if folder == "/api/users/byUserId":
            return self._user(unquote(name))
        return NOT_FOUND

    def _campaigns(self, call: Call, _now: float) -> Answer:
        page, size = _number(call, "page", 1), _number(call, "pageSize", 20, 1000)
        state = _text(call, "campaignState")
        found = [one for one in self._project.campaigns if state in (None, one.state)]
        shown = [_shown(one) for one in found[(page - 1) * size : page * size]]
        return answer(200, {"campaigns": shown, "totalCampaignsCount": len(found)})

    def _campaign(self, number: int) -> Answer:
        campaign = self._project.campaign(number)
        if campaign is None:
            return refusal(404, "NotFound", "Campaign not found")
        return answer(200, _shown(campaign))

    def _by_user_id(self, call: Call, _now: float) -> Answer:
        return self._user(_text(call, "userId") or "")

    def _user(self, user_id: str) -> Answer:
        address = self._project.address(user_id)
        return _profile(user_id, address) if user_id and address else answer(200, {})

    def _by_email(self, call: Call, _now: float) -> Answer:
        address = _text(call, "email") or ""
        user_id = self._project.user_id(address)
        return _profile(user_id, address) if user_id else answer(200, {})

    def _sent_messages(self, call: Call, now: float) -> Answer:
        names = self._names(call)
        wanted = {
            one
            for text in call.parameters.get("campaignIds", ())
            for one in text.split(",")
        }
        medium = (_text(call, "messageMedium") or "").lower()
        begin, end = _moment(call, "startDateTime"), _moment(call, "endDateTime")
        found = [
            _message(one)
            for one in self._received(names)
            if one.due is not None
            and one.due <= now
            and (not wanted or str(one.campaign) in wanted)
            and medium in ("", MEDIA.get(one.path, "").lower())
            # Iterable shows whole seconds, so whole seconds are compared.
            and (begin is None or begin <= int(one.due))
            and (end is None or int(one.due) <= end)
        ]
        limit = _number(call, "limit", 10, 1000)
        shown = answer(200, {"messages": found[::-1][:limit]})
        # Who asks about times has to know by which clock.
        return replace(shown, headers={"date": formatdate(now, usegmt=True)})

    def _names(self, call: Call) -> set[str]:
        """List every name under which the user may have been sent to."""
        user_id, address = _text(call, "userId"), _text(call, "email")
        if user_id:
            other = self._project.address(user_id)
        elif address:
            other = self._project.user_id(address)
        else:
            raise ParameterError("userId")
        return {name_of(one) for one in (user_id, address, other) if one}


def _text(call: Call, name: str) -> str | None:
    return call.parameters.get(name, [None])[0]


def _number(call: Call, name: str, default: int, most: int = 10**9) -> int:
    text = _text(call, name)
    if text is None:
        return default
    if re.fullmatch(r"\d{1,9}", text) is None or int(text) < 1:
        raise ParameterError(name)
    return min(int(text), most)


def _moment(call: Call, name: str) -> float | None:
    text = _text(call, name)
    if text is None:
        return None
    match = _MOMENT.fullmatch(text)
    try:
        if match is not None:
            return datetime.fromisoformat(match[1] + match[2]).timestamp()
    except ValueError:
        pass
    raise ParameterError(name)


def _profile(user_id: str, address: str) -> Answer:
    user = {
        "email": address,
        "userId": user_id,
        "dataFields": {"email": address, "userId": user_id},
    }
    return answer(200, {"user": user})


def _message(one: Received) -> dict[str, Json]:
    moment = datetime.fromtimestamp(one.due or 0, UTC)
    return {
        "messageId": f"{one.number:032x}",
        "campaignId": one.campaign,
        "templateId": 237422,
        "createdAt": f"{moment:%Y-%m-%d %H:%M:%S} +00:00",
    }


def _shown(campaign: Campaign) -> dict[str, Json]:
    return {
        "id": campaign.id,
        "name": f"Campaign {campaign.id}",
        "type": campaign.type,
        "campaignState": campaign.state,
        "messageMedium": campaign.medium,
        "templateId": 237422,
        "workflowId": None,
        "labels": [],
        "listIds": [],
        "suppressionListIds": [],
        "createdAt": _MADE_AT,
        "updatedAt": _MADE_AT,
        # A staff address, as the real answer has: nobody should print it.
        "createdByUserId": "author@example.com",
        "updatedByUserId": "author@example.com",
    }
