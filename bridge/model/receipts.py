"""Delivery receipts: what a destination reports later about a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.states import DeliveryStatus, Trigger
from bridge.model.webhooks import Json


class ReceiptType(StrEnum):
    """What a receipt says happened to the message."""

    SENT = "sent"
    SKIPPED = "skipped"  #: not sent; the reason says why
    BOUNCED = "bounced"  #: sent, and came back
    COMPLAINED = "complained"  #: arrived, and was called spam

    @property
    def trigger(self) -> Trigger:
        """Why a delivery changes its state by it."""
        return _TRIGGERS[self]


_TRIGGERS = {
    ReceiptType.SENT: Trigger.RECEIPT_SENT,
    ReceiptType.SKIPPED: Trigger.RECEIPT_SKIPPED,
    ReceiptType.BOUNCED: Trigger.RECEIPT_BOUNCED,
    # Only what arrived can be complained about.
    ReceiptType.COMPLAINED: Trigger.RECEIPT_SENT,
}


class ReceiptResult(StrEnum):
    """What the bridge made of a receipt."""

    CONFIRMED = "confirmed"  #: its delivery is confirmed by it
    UNDELIVERED = "undelivered"  #: its delivery is undelivered by it
    NOTED = "noted"  #: kept in the history of its delivery, whose state stays
    REPEATED = "repeated"  #: kept before
    UNMATCHED = "unmatched"  #: kept, though no delivery fits
    IGNORED = "ignored"  #: not kept: it says nothing about delivery


class MatchedBy(StrEnum):
    """By what a receipt found its delivery."""

    BRIDGE_ID = "bridgeId"
    PUBLICATION_ID = "publicationId"
    MESSAGE_ID = "messageId"
    PERSON = "campaign+person+time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One receipt, read."""

    #: Makes the second copy recognisable: message id and event name, else a hash.
    identity: str
    #: Name of the destination it came from.
    destination: str
    #: The vendor's name for it (`emailSendSkip`).
    event_name: str
    type: ReceiptType
    #: The vendor's word for why not; None where it gave none that can be shown.
    reason: str | None = None
    #: What the reason means, in words with the fix; None where it is not listed.
    explanation: str | None = None
    #: True where every message of the route would be skipped for this reason.
    stops_route: bool = False
    message_id: str | None = None
    campaign_id: int | None = None
    #: Ids that a payload carried and the destination repeats.
    bridge_id: str | None = None
    publication_id: str | None = None
    user_id: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    #: When it happened, by the vendor's clock, to the second.
    occurred_at: datetime | None = None
    #: Fields of the payload as the destination repeats them; never stored. They tell
    #: two messages to one person through one campaign apart.
    fields: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """One receipt as the ledger keeps it, with nothing that names a person."""

    id: str
    received_at: datetime
    occurred_at: datetime | None
    event_name: str
    type: ReceiptType
    reason: str | None
    message_id: str | None
    campaign_id: int | None
    #: None for one that fits no delivery.
    delivery_id: str | None
    matched_by: MatchedBy | None
    #: What the delivery became by it; None where it changed nothing.
    result: DeliveryStatus | None
