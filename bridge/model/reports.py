"""What Iterable reports, later, of a message that it took."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.states import Cause, DeliveryStatus


class News(StrEnum):
    """What a report says became of the message."""

    SENT = "sent"  #: handed over to whoever carries it to the person
    SKIPPED = "skipped"  #: not sent; the reason says why
    BOUNCED = "bounced"  #: sent, and came back
    COMPLAINED = "complained"  #: arrived, and was called spam

    @property
    def cause(self) -> Cause:
        """Why a delivery changes its state by it."""
        return _CAUSES[self]


_CAUSES = {
    News.SENT: Cause.REPORTED_SENT,
    News.SKIPPED: Cause.REPORTED_UNSENT,
    News.BOUNCED: Cause.REPORTED_BOUNCED,
    # Only what arrived can be complained about.
    News.COMPLAINED: Cause.REPORTED_SENT,
}


class Became(StrEnum):
    """What was made of a report."""

    CONFIRMED = "confirmed"  #: its delivery is confirmed by it
    UNDELIVERED = "undelivered"  #: its delivery is undelivered by it
    NOTED = "noted"  #: kept in the story of its delivery, whose state stays
    REPEATED = "repeated"  #: kept before
    UNMATCHED = "unmatched"  #: kept, though no delivery fits
    IGNORED = "ignored"  #: not kept: it brings no news of a message


class Match(StrEnum):
    """By what a report found its delivery."""

    BRIDGE_ID = "bridgeId"
    PUBLICATION_ID = "publicationId"
    MESSAGE_ID = "messageId"
    PERSON = "campaign+person+time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One system webhook, read."""

    #: What makes the second copy recognisable: message id and event name, else a hash.
    identity: str
    #: Iterable's name for it (`emailSendSkip`).
    event_name: str
    news: News
    #: Iterable's word for why not; None where it gave none that can be shown.
    reason: str | None = None
    message_id: str | None = None
    campaign_id: int | None = None
    #: Ids that a payload carried and Iterable repeats.
    bridge_id: str | None = None
    publication_id: str | None = None
    user_id: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    #: When it happened, by Iterable's clock, to the second.
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """One report as the ledger keeps it, with nothing that names a person."""

    id: str
    received_at: datetime
    occurred_at: datetime | None
    event_name: str
    news: News
    reason: str | None
    message_id: str | None
    campaign_id: int | None
    #: None for one that fits no delivery.
    delivery_id: str | None
    match: Match | None
    #: What the delivery became by it; None where it changed nothing.
    became: DeliveryStatus | None
