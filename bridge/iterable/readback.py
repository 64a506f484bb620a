"""The question what a person was sent, and Iterable's answer read.

Pure: no clock, no I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from bridge.http import Reply
from bridge.iterable.answer import date_of, read
from bridge.iterable.classification import classify
from bridge.model import Classification, Json, Outcome, Recipient

PATH = "/api/users/getSentMessages"
#: As many as Iterable shows at most; without it, ten.
_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessages:
    """How many messages Iterable shows."""

    outcome: Outcome
    #: None where the answer does not say.
    count: int | None = None
    #: Iterable's clock, in whole seconds.
    server_time: datetime | None = None


def question(person: Recipient, campaign_ids: Iterable[int], since: datetime) -> str:
    """Write path and query.

    Args:
        person: Under the name the message was sent to.
        campaign_ids: Of these campaigns only.
        since: From this time on, by Iterable's clock.
    """
    key = "userId" if person.user_id is not None else "email"
    query = {
        key: person.name,
        "campaignIds": ",".join(str(one) for one in sorted(campaign_ids)),
        "startDateTime": f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} +00:00",
        "limit": _LIMIT,
    }
    return f"{PATH}?{urlencode(query)}"


def sent_messages(reply: Reply, campaign_ids: Iterable[int]) -> SentMessages:
    """Count the messages in an answer; anything but a list of them is no answer."""
    outcome = classify(f"GET {PATH}", reply, None)
    server_time = date_of(reply.headers.get("date", ""))
    if outcome.classification is not Classification.SUCCESS:
        return SentMessages(outcome=outcome, server_time=server_time)
    document = read(reply).document
    messages = document.get("messages") if isinstance(document, dict) else None
    if outcome.is_odd or not isinstance(messages, list):
        reason = f"status {outcome.status}: not an answer of Iterable"
        failed = replace(outcome, classification=Classification.RETRY, reason=reason)
        return SentMessages(outcome=failed, server_time=server_time)
    wanted = set(campaign_ids)
    count = sum(_campaign(one) in wanted for one in messages)
    return SentMessages(outcome=outcome, count=count, server_time=server_time)


def _campaign(message: Json) -> Json:
    named = message.get("campaignId") if isinstance(message, dict) else None
    return named if isinstance(named, int) else None
