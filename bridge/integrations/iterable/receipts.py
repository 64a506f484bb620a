"""Iterable's system webhooks as delivery receipts: authentication, reading, meaning.

Read leniently, as any field may be missing, of any type, or new. No I/O, no clock.

References:
    Iterable's documentation, "System webhooks".
"""

import json
import re
from binascii import Error, a2b_base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from bridge.config import DestinationConfig
from bridge.errors import SignatureError
from bridge.integrations import Request
from bridge.model import Classification, Json, Receipt, ReceiptType

#: Receipts by the end of the event's name: `emailSendSkip`.
_ENDINGS = {
    "SendSkip": ReceiptType.SKIPPED,
    "Send": ReceiptType.SENT,
    "Bounce": ReceiptType.BOUNCED,
    "Complaint": ReceiptType.COMPLAINED,
}
_MEDIA = ("email", "push", "sms", "inApp", "webPush", "whatsApp")
EVENTS: Mapping[str, ReceiptType] = {
    medium + ending: kind for medium in _MEDIA for ending, kind in _ENDINGS.items()
}

_CONFIG, _POLICY = Classification.CONFIG, Classification.SUCCESS_LIKE
_RETRY, _FINAL = Classification.RETRY, Classification.PERMANENT
#: What each reason for a skip means, and what is to be done about it.
REASONS: Mapping[str, tuple[Classification, str]] = {
    "CampaignDeactivated": (_CONFIG, "activate the campaign"),
    "MisconfiguredMessageService": (_CONFIG, "fix the project's sending service"),
    "InvalidSender": (_CONFIG, "fix the template's sender"),
    "InvalidReplyToEmail": (_CONFIG, "fix the template's reply address"),
    "InvalidHostedUnsubscribeUrl": (_CONFIG, "fix the project's unsubscribe URL"),
    "HandlebarsExecutionError": (_CONFIG, "fix the template's expressions"),
    "EmptyContent": (_CONFIG, "give the template a content"),
    "SnippetLookupError": (_CONFIG, "fix the snippets the template names"),
    "CatalogLookupError": (_CONFIG, "fix the catalogs the template names"),
    "LocaleMismatch": (_CONFIG, "give the template the person's locale, or a default"),
    "DataFeedError": (_RETRY, "its data feed failed: redeliver it when that works"),
    "MessageServiceError": (_RETRY, "the sending service failed: redeliver it"),
    "RetriesExhaustedError": (_RETRY, "the sending service failed: redeliver it"),
    "DuplicateMarketingMessage": (_POLICY, "the person had this message already"),
    "FrequencyCapping": (_POLICY, "the person had enough messages"),
    "FrequencyOptimization": (_POLICY, "the person had enough messages"),
    "QuietHoursSendSkip": (_POLICY, "the person's quiet hours"),
    "ExperimentHoldOut": (_POLICY, "the person is in an experiment's control group"),
    "InvalidRecipientEmail": (_FINAL, "the person's address is not valid"),
    "SuppressedByMessageService": (_FINAL, "the sending service rejects the address"),
}
#: Reasons that begin so are all about catalogs.
_CATALOG = "CatalogCollection"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_ID = re.compile(r"[!-~]{1,255}")
#: Only of this century: near the calendar's ends no time before or after is computed.
_TIME = re.compile(r"(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d) ([+-]\d\d:\d\d)")
_DIGITS = re.compile(r"[0-9]{1,19}")
_BIGGEST = 2**63 - 1
_LONGEST = 512
_CHALLENGE = "Bearer"


class IterableReceipts:
    """Reads the system webhooks of one Iterable project.

    Args:
        config: Its name, and `secrets["webhook_secret"]` that callers must know.
    """

    def __init__(self, config: DestinationConfig) -> None:
        self.path = f"/webhooks/{config.name}"
        self._destination = config.name
        self._variable = config.variables.get("webhook_secret", "webhook_secret")
        found = config.secrets.get("webhook_secret", ())
        self._secrets = [secret.encode() for secret in found if secret]

    def verify(self, request: Request) -> None:
        """Accept a request that knows a secret, in Authorization or X-Bridge-Secret.

        Raises:
            SignatureError: It does not, or there is no secret to know.
        """
        if not self._secrets:
            reason = (
                f"{self._variable} is not set, so this endpoint rejects every request"
            )
            raise SignatureError(reason, _CHALLENGE)
        headers = request.headers
        given = [
            *_candidates(headers.get("authorization", "")),
            *_bytes(headers.get("x-bridge-secret", "")),
        ]
        # Every pair is compared, so that the time says nothing of which one is right.
        matches = [
            compare_digest(one, secret) for one in given for secret in self._secrets
        ]
        if not any(matches):
            raise SignatureError(
                "no secret that is known here; this endpoint accepts one in "
                "Authorization or X-Bridge-Secret",
                _CHALLENGE,
            )

    def read(self, body: bytes) -> Receipt | None:
        """Read a receipt; None for a webhook that says nothing about delivery.

        Never fails, whatever the bytes.
        """
        document = _document(body)
        name = _event_name(document)
        kind = None if name is None else EVENTS.get(name)
        if name is None or kind is None:
            return None
        fields = _member(document, "dataFields")
        message_id = _identifier(fields.get("messageId"))
        reason = _reason(fields, kind)
        meaning, explanation = meaning_of(reason)
        is_skip = kind is ReceiptType.SKIPPED
        return Receipt(
            # What Iterable repeats it under; SMS have no message id.
            identity=f"{name}:{message_id or f'sha256:{sha256(body).hexdigest()}'}",
            destination=self._destination,
            event_name=name,
            type=kind,
            reason=reason,
            explanation=explanation if is_skip else None,
            stops_route=is_skip and meaning is Classification.CONFIG,
            message_id=message_id,
            campaign_id=_number(fields.get("campaignId")),
            bridge_id=_carried(fields, "bridgeId"),
            publication_id=_carried(fields, "publicationId"),
            user_id=_text(document.get("userId")) or _text(fields.get("userId")),
            email=_text(document.get("email")) or _text(fields.get("email")),
            occurred_at=_time(fields.get("createdAt")),
            fields=_member(fields, "transactionalData"),
        )

    def event_name(self, body: bytes) -> str | None:
        """Name the event of a system webhook; None where it has no name to be shown."""
        return _event_name(_document(body))

    def may_be_about(self, receipt: Receipt, payload: bytes) -> bool:
        """Tell whether a receipt may be about what was sent with this payload.

        The campaign is the same, and no field that Iterable repeats says otherwise.
        """
        sent = _document(payload)
        if _number(sent.get("campaignId")) != receipt.campaign_id:
            return False
        fields = _member(sent, "dataFields")
        return all(
            fields[name] == value
            for name, value in receipt.fields.items()
            if name in fields and isinstance(value, str | int)
        )


def meaning_of(reason: str | None) -> tuple[Classification, str]:
    """Say what a skip's reason means, and what there is to do."""
    if reason is not None and reason.startswith(_CATALOG):
        return REASONS["CatalogLookupError"]
    return REASONS.get(reason or "", (_FINAL, "Iterable knows more"))


def _document(body: bytes) -> Mapping[str, Json]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _event_name(document: Mapping[str, Json]) -> str | None:
    name = document.get("eventName")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _reason(fields: Mapping[str, Json], kind: ReceiptType) -> str | None:
    """Read why a message did not arrive, where that is a plain word."""
    name = "reason" if kind is ReceiptType.SKIPPED else "recipientState"
    word = fields.get(name)
    return word if isinstance(word, str) and _NAME.fullmatch(word) else None


def _carried(fields: Mapping[str, Json], name: str) -> str | None:
    """Find an id that a payload carried: where it comes back is half documented."""
    repeated = _member(fields, "transactionalData")
    places = repeated, _member(repeated, "metadata"), _member(fields, "metadata")
    found = (_identifier(place.get(name)) for place in places)
    return next(filter(None, found), None)


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


def _candidates(authorization: str) -> Iterator[bytes]:
    """Yield what may be the secret: the whole, behind a scheme, or a Basic password.

    References:
        RFC 7617.
    """
    scheme, _, token = authorization.partition(" ")
    yield from _bytes(authorization)
    yield from _bytes(token)
    if scheme.lower() == "basic":
        try:
            pair = a2b_base64(token.strip(), strict_mode=True)
        except (Error, ValueError):
            return
        yield pair
        yield pair.partition(b":")[2]


def _bytes(text: str) -> Iterator[bytes]:
    given = text.strip().encode("latin-1", "replace")
    if given:
        yield given
