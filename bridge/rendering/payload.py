"""The body Iterable gets: a closed set of keys, each of its type.

Iterable drops an unknown key silently and answers 200, so the check is ours.

References:
    Iterable's API documentation, `POST /api/email/target` and its siblings.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from bridge.model import Json
from bridge.rendering.budget import MAX_OUTPUT, Refusal, Run, current
from bridge.rendering.values import JsonText, dumps, encode

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What one attempt sends."""

    #: Compact JSON in UTF-8.
    body: bytes
    #: True where the webhook's own body named the campaign, and no route did.
    names_campaign: bool
    #: Keys of the webhook's body that Iterable does not know, left out.
    dropped: int


def keys(endpoint: str) -> frozenset[str]:
    """Return the keys an endpoint knows."""
    return _COMMON | {"metadata"} if endpoint in _WITH_METADATA else _COMMON


def passthrough(body: object) -> JsonText:
    """Turn Iterable's own request, as a webhook brought it, into a payload.

    Keys that the endpoint does not know are left out and counted, the recipient is the
    one the route names, and a campaign id written in digits becomes a number. All else
    stays as it came, empty values included.

    Raises:
        Refusal: It is no object.
    """
    if not isinstance(body, dict):
        raise Refusal("`passthrough` needs an object: `body` of a raw webhook")
    run = current()
    known = keys(run.endpoint)
    kept = {key: value for key, value in body.items() if key in known}
    run.dropped += len(body) - len(kept)
    for key in _RECIPIENT:
        kept.pop(key, None)
    campaign_id = kept.pop("campaignId", None)
    if isinstance(campaign_id, str) and _DIGITS.fullmatch(campaign_id.strip()):
        campaign_id = int(campaign_id)
    named = run.campaign_id if run.campaign_id is not None else campaign_id
    return JsonText(encode({"campaignId": named, **_recipient(run), **kept}))


def _recipient(run: Run) -> Mapping[str, Json]:
    if run.recipient.user_id is None:
        return {"recipientEmail": run.recipient.email}
    return {"recipientUserId": run.recipient.user_id}


def finish(text: str, run: Run) -> Payload:
    """Check a rendered text and make it the body to send.

    A key that is `null` at the top is left out.

    Raises:
        json.JSONDecodeError: It is not JSON.
        Refusal: It is not what the endpoint takes.
    """
    document = _DECODER.decode(text)
    if not isinstance(document, dict):
        raise Refusal("the payload must be an object")
    document = {key: value for key, value in document.items() if value is not None}
    check(document, run)
    try:
        body = dumps(document).encode()
    except UnicodeEncodeError:
        raise Refusal("a lone surrogate (half a character) cannot be sent") from None
    except ValueError:
        raise Refusal("a number is not finite, or too long") from None
    if len(body) > MAX_OUTPUT:
        raise Refusal(f"the payload has {len(body):,} of at most {MAX_OUTPUT:,} bytes")
    return Payload(
        body=body, names_campaign=run.campaign_id is None, dropped=run.dropped
    )


def check(document: Mapping[str, Json], run: Run) -> None:
    """Hold a payload against what its endpoint takes.

    Raises:
        Refusal: A key is unknown, missing, or of another type.
    """
    known = keys(run.endpoint)
    for key in document:
        if key not in known:
            raise Refusal(f"{run.shown(key)} is no key of {run.endpoint}")
    if "campaignId" not in document:
        raise Refusal("campaignId is missing")
    if sum(key in document for key in _RECIPIENT) != 1:
        raise Refusal("exactly one of recipientUserId and recipientEmail is needed")
    for key, value in document.items():
        is_fit, what = _FORMS[key]
        if not is_fit(value):
            raise Refusal(f"{key} must be {what}")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Refusal("an object has the same key twice")
    return document


def _constant(_: str) -> NoReturn:
    raise Refusal("a number is not finite")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


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


_FORMS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "campaignId": (_is_campaign_id, "a whole number above 0, without quotes"),
    "recipientUserId": (_is_text, "a text that is not empty"),
    "recipientEmail": (_is_text, "a text that is not empty"),
    "dataFields": (_is_object, "an object"),
    "metadata": (_is_object, "an object"),
    "sendAt": (_is_send_at, "a UTC time written YYYY-MM-DD HH:MM:SS"),
    "allowRepeatMarketingSends": (_is_truth, "true or false"),
}
