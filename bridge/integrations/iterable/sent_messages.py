"""Asking Iterable whether a message was sent, after an unknown outcome.

References:
    Iterable's API documentation, `GET /api/users/getSentMessages`.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from bridge.http import Reply, date_of
from bridge.integrations import SendTarget, SentCount
from bridge.integrations.iterable.responses import classify, read
from bridge.model import Classification, Json, Outcome, Recipient, UserId

PATH = "/api/users/getSentMessages"
#: The most Iterable lists; without it, ten.
_LIMIT = 1000
#: Media whose messages Iterable does not list.
UNLISTED = frozenset({"webPush/target", "whatsApp/target"})

#: Makes a GET call to a path with its query; the reply, or the outcome of a failed one.
Get = Callable[[str], Reply | Outcome]


class SentMessages:
    """Answers what a person was sent.

    Args:
        get: Makes the call.
    """

    def __init__(self, get: Get) -> None:
        self._get = get

    def target_of(self, payload: bytes) -> SendTarget | None:
        """Read the person and campaign of a payload; None where there is none."""
        try:
            body: Json = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(body, dict) or type(body.get("campaignId")) is not int:
            return None
        user_id, email = body.get("recipientUserId"), body.get("recipientEmail")
        # Iterable goes by the address where it is given both.
        if isinstance(email, str):
            person = Recipient(email=email)
        elif isinstance(user_id, str):
            person = Recipient(user_id=UserId(user_id))
        else:
            return None
        return SendTarget(
            person=person,
            campaign_id=body["campaignId"],
            is_scheduled=body.get("sendAt") is not None,
        )

    def sent_messages(
        self, person: Recipient, campaign_ids: Iterable[int], since: datetime
    ) -> SentCount:
        """Ask how many messages a person was sent since a time, by Iterable's clock."""
        wanted = sorted(set(campaign_ids))
        query = {
            # The name the message was sent to.
            "userId" if person.user_id is not None else "email": person.name,
            "campaignIds": ",".join(map(str, wanted)),
            "startDateTime": f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} +00:00",
            "limit": _LIMIT,
        }
        reply = self._get(f"{PATH}?{urlencode(query)}")
        if isinstance(reply, Outcome):
            return SentCount(outcome=reply)
        outcome = classify(reply, is_send=False)
        server_time = date_of(reply.headers.get("date", ""))
        if outcome.classification is not Classification.SUCCESS:
            return SentCount(outcome=outcome, server_time=server_time)
        messages = read(reply).document.get("messages")
        # Anything but a list of messages is no answer.
        if outcome.is_unexpected or not isinstance(messages, list):
            return SentCount(outcome=not_an_answer(outcome), server_time=server_time)
        found = sum(_campaign(one) in wanted for one in messages)
        return SentCount(outcome=outcome, count=found, server_time=server_time)


def not_an_answer(outcome: Outcome) -> Outcome:
    """Turn a success that answers no question into a reason to ask again."""
    reason = f"status {outcome.status}: not an answer of Iterable"
    return replace(outcome, classification=Classification.RETRY, reason=reason)


def _campaign(message: Json) -> int | None:
    named = message.get("campaignId") if isinstance(message, dict) else None
    return named if isinstance(named, int) else None
