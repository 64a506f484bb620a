"""The body Iterable gets: a closed set of keys, each of its type. Pure.

Iterable drops an unknown key silently and answers 200, so the check is ours.

References:
    Iterable's API documentation, `POST /api/email/target` and the other media.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from bridge.config import Route
from bridge.integrations import PayloadCheck
from bridge.model import Json, Recipient

_COMMON = frozenset(
    {
        *("campaignId", "recipientUserId", "recipientEmail", "dataFields"),
        *("sendAt", "allowRepeatMarketingSends"),
    }
)
_RECIPIENT = ("recipientUserId", "recipientEmail")
#: Iterable declares `metadata` for these two alone.
_WITH_METADATA = frozenset({"email/target", "push/target"})
_SEND_AT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_DIGITS = re.compile(r"[0-9]{1,19}")
_LARGEST_ID = 2**63 - 1
_SHOWABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def known_keys(endpoint: str) -> frozenset[str]:
    """Return the keys an endpoint knows."""
    return _COMMON | {"metadata"} if endpoint in _WITH_METADATA else _COMMON


def check(
    route: Route, endpoint: str, document: Json, recipient: Recipient
) -> PayloadCheck:
    """Judge a rendered document; a key that is null at the top is left out.

    On a route for raw bodies (`match: {raw: true}`) keys that the endpoint does not
    know are left out and counted, the recipient is the one the route names, and a
    campaign id written in digits becomes a number. On any other route an unknown key is
    an error of the template.

    Raises:
        ValueError: A key is unknown, missing, or of another type.
    """
    if not isinstance(document, dict):
        raise ValueError("the payload must be an object")  # noqa: TRY004 - see above
    body = {key: value for key, value in document.items() if value is not None}
    dropped = 0
    if route.match.raw:
        known = known_keys(endpoint)
        kept = {key: value for key, value in body.items() if key in known}
        dropped, body = len(body) - len(kept), _adapted(kept, route, recipient)
    _check(body, endpoint)
    return PayloadCheck(
        document=body, dropped=dropped, names_campaign=route.campaign_id is None
    )


def _adapted(
    body: Mapping[str, Json], route: Route, recipient: Recipient
) -> dict[str, Json]:
    """Give a raw body the route's campaign and recipient."""
    campaign_id = body.get("campaignId")
    if isinstance(campaign_id, str) and _DIGITS.fullmatch(campaign_id.strip()):
        campaign_id = int(campaign_id)
    if route.campaign_id is not None:
        campaign_id = route.campaign_id
    name = _RECIPIENT[recipient.user_id is None]
    own = {"campaignId": campaign_id, name: recipient.name}
    own = {key: value for key, value in own.items() if value is not None}
    rest = {
        key: value
        for key, value in body.items()
        if key not in ("campaignId", *_RECIPIENT)
    }
    return {**own, **rest}


def _check(body: Mapping[str, Json], endpoint: str) -> None:
    known = known_keys(endpoint)
    for key in body:
        if key not in known:
            raise ValueError(f"{_shown(key)} is no key of {endpoint}")
    if "campaignId" not in body:
        raise ValueError("campaignId is missing")
    if sum(key in body for key in _RECIPIENT) != 1:
        raise ValueError("exactly one of recipientUserId and recipientEmail is needed")
    for key, value in body.items():
        is_fit, what = _TYPES[key]
        if not is_fit(value):
            raise ValueError(f"{key} must be {what}")


def _shown(key: str) -> str:
    return f"`{key}`" if _SHOWABLE.fullmatch(key) else "a key"


def _is_campaign_id(value: Json) -> bool:
    return type(value) is int and 0 < value <= _LARGEST_ID


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict)


def _is_send_at(value: Json) -> bool:
    if not isinstance(value, str) or not _SEND_AT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_truth(value: Json) -> bool:
    return isinstance(value, bool)


_TYPES: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "campaignId": (_is_campaign_id, "a whole number above 0, without quotes"),
    "recipientUserId": (_is_text, "a text that is not empty"),
    "recipientEmail": (_is_text, "a text that is not empty"),
    "dataFields": (_is_object, "an object"),
    "metadata": (_is_object, "an object"),
    "sendAt": (_is_send_at, "a UTC time written YYYY-MM-DD HH:MM:SS"),
    "allowRepeatMarketingSends": (_is_truth, "true or false"),
}
