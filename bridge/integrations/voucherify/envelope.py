"""What a webhook is (project, distribution, raw), and where its event data is.

Pure: no I/O, no clock.

References:
    Voucherify's documentation, "Introduction to webhooks" (envelope) and the reference
    of webhook events (the objects of each event).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bridge.errors import EnvelopeError
from bridge.integrations.iterable import compat
from bridge.integrations.voucherify.document import identifier, member
from bridge.integrations.voucherify.signature import strip_insignificant
from bridge.model import Capture, Json

#: How long a business key is remembered: Voucherify sends an event again by hand up to
#: 14 days later; twice that, and a bit.
BUSINESS_TTL = timedelta(days=30)
#: Covers the 24 hours in which Voucherify repeats a webhook, and not tomorrow's
#: legitimate second message.
SHORT_TTL = timedelta(hours=25)

Kind = Literal["project", "distribution", "raw", "unknown"]

_KINDS: Mapping[str, Kind] = {"webhook": "project", "distribution": "distribution"}
#: Voucherify's reference writes event names in capitals behind this prefix.
_REFERENCE_PREFIX = "EVENTS."
#: Objects that only event data has, each with the event it belongs to. The first one
#: present counts: reward redemptions carry a publication, too.
_EVENT_OBJECTS: Mapping[str, str | None] = {
    "distribution": "manual_distribution_schedule",
    "reward_redemption": "customer.reward_redemptions.",
    "earning_rule": "customer.rewarded.loyalty_points",
    "reward": "customer.rewarded",
    "referrer": "customer.referred",
    "loyalty_tier_to": "customer.loyalty.tier",
    "pending_points": "customer.voucher.loyalty_card.pending_points.activated",
    "publication": "customer.publication.succeeded",
    "transaction": "customer.voucher.",
    "event_schema": "customer.custom_event",
    "voucher": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Event data, and what is known of the event around it."""

    kind: Kind
    event_type: str | None
    data: Mapping[str, Json]
    #: `id` of the envelope: this event to this address.
    id: str | None = None
    #: `event.id`: this event to every address.
    event_id: str | None = None
    #: SHA-256 of endpoint and body; empty where the envelope has an id.
    digest: str = ""

    @property
    def has_event_objects(self) -> bool:
        """Tell whether Voucherify's own objects are here, not only an operator's."""
        return has_event_objects(self.data)

    def fallback_key(self) -> tuple[str, timedelta]:
        """Name the event itself, for a message that has no better business key."""
        return (self.event_id, BUSINESS_TTL) if self.event_id else self.body_key()

    def body_key(self) -> tuple[str, timedelta]:
        """Name the one request, for data an operator wrote."""
        return (self.id, BUSINESS_TTL) if self.id else (f"raw:{self.digest}", SHORT_TTL)


def digest_of(capture: Capture) -> str:
    """Hash endpoint and significant bytes, in hexadecimal."""
    endpoint = (capture.endpoint or "").encode()
    stripped = strip_insignificant(capture.body)
    return hashlib.sha256(endpoint + b"\n" + stripped).hexdigest()


def data_of(document: Json) -> Mapping[str, Json]:
    """Return the event data of a document: inside the envelope, or the root itself.

    Empty where there is none. Total over any JSON.
    """
    if not isinstance(document, dict):
        return {}
    return _event_data(document) if _is_envelope(document) else document


def id_of(document: Json) -> str | None:
    """Return the envelope's `id`, None where there is none to rely on."""
    if isinstance(document, dict) and _is_envelope(document):
        return identifier(document.get("id"))
    return None


def event_of(document: Json, event_type: str | None) -> dict[str, Json]:
    """Collect `id`, `type`, `created_at` of the event; only what is there."""
    # Event data at the root may hold an `event`, too: the one that triggered this one.
    is_envelope = isinstance(document, dict) and _is_envelope(document)
    envelope = document if is_envelope else {}
    event = {"created_at": envelope.get("created_at"), **member(envelope, "event")}
    event["type"] = event_type
    return {name: value for name, value in event.items() if value is not None}


def open_envelope(document: Json, *, digest: str) -> Envelope:
    """Say what a document is.

    Raises:
        EnvelopeError: It is nothing that brings an event.
    """
    if not isinstance(document, dict):
        raise EnvelopeError(f"the body is {_shape(document)}, not an object")
    if _is_envelope(document):
        return _opened(document, digest)
    if compat.is_request(document):
        event_type = plain_type(member(document, "voucherify").get("event"))
        return Envelope(kind="raw", event_type=event_type, data=document, digest=digest)
    _reject_known_strangers(document)
    if not isinstance(document.get("customer"), dict) or not has_event_objects(
        document
    ):
        raise EnvelopeError(
            "the body is neither Voucherify's envelope, nor event data, "
            "nor has it Iterable's keys (campaignId, recipientUserId, dataFields)"
        )
    event_type = _inferred_type(document)
    return Envelope(kind="raw", event_type=event_type, data=document, digest=digest)


def plain_type(value: Json) -> str | None:
    """Read an event type; `EVENTS.CUSTOMER.REWARDED` is `customer.rewarded`."""
    found = identifier(value)
    if found is None or not found.startswith(_REFERENCE_PREFIX):
        return found
    return found.removeprefix(_REFERENCE_PREFIX).lower()


def has_event_objects(data: Mapping[str, Json]) -> bool:
    """Tell whether an object holds Voucherify's own event data."""
    return any(isinstance(data.get(name), dict) for name in _EVENT_OBJECTS)


def _is_envelope(document: Mapping[str, Json]) -> bool:
    has_both = all(isinstance(document.get(key), dict) for key in ("source", "event"))
    return has_both and "data" in document


def _opened(document: Mapping[str, Json], digest: str) -> Envelope:
    if not isinstance(document["data"], dict):
        raise EnvelopeError(f"data is {_shape(document['data'])}, not an object")
    event = document["event"]
    source = document["source"].get("object")
    kind = _KINDS.get(source, "unknown") if isinstance(source, str) else "unknown"
    event_type = plain_type(event.get("type"))
    if event_type is None and kind == "project":
        # Only here: a distribution's `type` is a label that its operator may rename.
        event_type = plain_type(document.get("type"))
    return Envelope(
        kind=kind,
        event_type=event_type,
        data=_event_data(document),
        id=identifier(document.get("id")),
        event_id=identifier(event.get("id")),
        digest=digest,
    )


def _event_data(envelope: Mapping[str, Json]) -> Mapping[str, Json]:
    data = member(envelope, "data")
    inner = data.get("data")
    # One of the vendor's schemas nests data.data; none of its examples does.
    is_nested = isinstance(inner, dict) and "customer" not in data
    if is_nested and not compat.is_request(data):
        return member(data, "data")
    return data


def _reject_known_strangers(document: Mapping[str, Json]) -> None:
    kind = document.get("object")
    if kind == "event" and "webhook_id" in document:
        raise EnvelopeError(
            "the body has Voucherify's retired form (version v2018-08-01); "
            "choose version v2024-01-01 in the project settings"
        )
    if isinstance(kind, str):
        raise EnvelopeError(
            "the body is an object of Voucherify's API (it says so in `object`), "
            "not a webhook"
        )


def _inferred_type(data: Mapping[str, Json]) -> str | None:
    """Infer the type of event data sent raw; None where the objects leave it open."""
    name = next(
        (name for name in _EVENT_OBJECTS if isinstance(data.get(name), dict)), ""
    )
    event_type = _EVENT_OBJECTS.get(name)
    if name == "reward_redemption":
        state = identifier(data[name].get("state")) or "unknown"
        return f"{event_type}{state.lower()}"
    return f"{event_type}{_movement(data)}" if name == "transaction" else event_type


def _movement(data: Mapping[str, Json]) -> str:
    if member(data, "voucher").get("type") == "GIFT_VOUCHER":
        return "gift.balance_added"
    return f"loyalty_card.points_{'expired' if 'buckets' in data else 'added'}"


def _shape(value: Json) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a text"
    return "null" if value is None else "a number or a truth value"
