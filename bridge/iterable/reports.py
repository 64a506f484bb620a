"""System webhooks read: what Iterable says became of a message. No I/O, no clock.

Leniently, as any field may be missing, or of any type, or new.

References:
    Iterable's documentation, "System webhooks".
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256

from bridge.model import Classification, Json, News, Report

#: Events with news of a message, by the end of their names: `emailSendSkip`.
_NEWS = {
    "SendSkip": News.SKIPPED,
    "Send": News.SENT,
    "Bounce": News.BOUNCED,
    "Complaint": News.COMPLAINED,
}
_MEDIA = ("email", "push", "sms", "inApp", "webPush", "whatsApp")
EVENTS: Mapping[str, News] = {
    medium + ending: news for medium in _MEDIA for ending, news in _NEWS.items()
}

_CONFIG, _POLICY = Classification.CONFIG, Classification.SUCCESS_LIKE
_RETRY, _FINAL = Classification.RETRY, Classification.PERMANENT
#: What each reason for a skip means, and what is to be done about it.
REASONS: Mapping[str, tuple[Classification, str]] = {
    "CampaignDeactivated": (_CONFIG, "activate the campaign"),
    "MisconfiguredMessageService": (_CONFIG, "mend the project's sending service"),
    "InvalidSender": (_CONFIG, "mend the template's sender"),
    "InvalidReplyToEmail": (_CONFIG, "mend the template's reply address"),
    "InvalidHostedUnsubscribeUrl": (_CONFIG, "mend the project's unsubscribe URL"),
    "HandlebarsExecutionError": (_CONFIG, "mend the template's expressions"),
    "EmptyContent": (_CONFIG, "give the template a content"),
    "SnippetLookupError": (_CONFIG, "mend the snippets the template names"),
    "CatalogLookupError": (_CONFIG, "mend the catalogs the template names"),
    "LocaleMismatch": (_CONFIG, "give the template the person's locale, or a default"),
    "DataFeedError": (_RETRY, "its data feed failed: redeliver it when that is well"),
    "MessageServiceError": (_RETRY, "the sending service failed: redeliver it"),
    "RetriesExhaustedError": (_RETRY, "the sending service failed: redeliver it"),
    "DuplicateMarketingMessage": (_POLICY, "the person had this message already"),
    "FrequencyCapping": (_POLICY, "the person had enough messages"),
    "FrequencyOptimization": (_POLICY, "the person had enough messages"),
    "QuietHoursSendSkip": (_POLICY, "the person's quiet hours"),
    "ExperimentHoldOut": (_POLICY, "the person is in an experiment's control group"),
    "InvalidRecipientEmail": (_FINAL, "the person's address is no address"),
    "SuppressedByMessageService": (_FINAL, "the sending service refuses the address"),
}
#: Reasons that begin so are all about catalogs.
_CATALOG = "CatalogCollection"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_ID = re.compile(r"[!-~]{1,255}")
#: Only of this century: from the calendar's ends no time before or after is reckoned.
_TIME = re.compile(r"(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d) ([+-]\d\d:\d\d)")
_DIGITS = re.compile(r"[0-9]{1,19}")
_BIGGEST = 2**63 - 1
_LONGEST = 512


def read_report(body: bytes) -> Report | None:
    """Read a system webhook; None for one without news of a message.

    Never fails, whatever the bytes.
    """
    document = _document(body)
    name = event_name(document)
    news = None if name is None else EVENTS.get(name)
    if name is None or news is None:
        return None
    fields = _member(document, "dataFields")
    message_id = _identifier(fields.get("messageId"))
    return Report(
        identity=_identity(name, message_id, body),
        event_name=name,
        news=news,
        reason=_reason(fields, news),
        message_id=message_id,
        campaign_id=_number(fields.get("campaignId")),
        bridge_id=_carried(fields, "bridgeId"),
        publication_id=_carried(fields, "publicationId"),
        user_id=_text(document.get("userId")) or _text(fields.get("userId")),
        email=_text(document.get("email")) or _text(fields.get("email")),
        occurred_at=_time(fields.get("createdAt")),
    )


def means(reason: str | None) -> tuple[Classification, str]:
    """Say what a skip's reason means, and what there is to do."""
    if reason is not None and reason.startswith(_CATALOG):
        return REASONS["CatalogLookupError"]
    return REASONS.get(reason or "", (_FINAL, "Iterable knows more"))


def named_event(body: bytes) -> str | None:
    """Name the event of a system webhook; None where it has no name to be shown."""
    return event_name(_document(body))


def event_name(document: Mapping[str, Json]) -> str | None:
    """Read the name of the event, of which nobody knows whether it is one."""
    name = document.get("eventName")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _document(body: bytes) -> Mapping[str, Json]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _identity(name: str, message_id: str | None, body: bytes) -> str:
    """Name a report by what Iterable repeats it under; short messages have no id."""
    if message_id is None:
        return f"{name}:sha256:{sha256(body).hexdigest()}"
    return f"{name}:{message_id}"


def _reason(fields: Mapping[str, Json], news: News) -> str | None:
    """Read why a message did not arrive, where that is a plain word."""
    said = fields.get("reason" if news is News.SKIPPED else "recipientState")
    return said if isinstance(said, str) and _NAME.fullmatch(said) else None


def _carried(fields: Mapping[str, Json], name: str) -> str | None:
    """Find an id that a payload carried: where it comes back is half documented."""
    return next(
        (found for place in _places(fields) if (found := _identifier(place.get(name)))),
        None,
    )


def _places(fields: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    repeated = _member(fields, "transactionalData")
    yield repeated
    yield _member(repeated, "metadata")
    yield _member(fields, "metadata")


def _member(owner: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = owner.get(name)
    return found if isinstance(found, dict) else {}


def _identifier(value: Json) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _text(value: Json) -> str | None:
    is_usable = isinstance(value, str) and 0 < len(value) <= _LONGEST
    return value if is_usable else None


def _number(value: Json) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value <= _BIGGEST else None


def _time(value: Json) -> datetime | None:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        return datetime.fromisoformat("".join(match.groups())).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
