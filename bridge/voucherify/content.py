"""What a document is, and where in it the event data lies."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bridge.errors import EnvelopeError
from bridge.model import Capture, Json
from bridge.voucherify.inference import inferred_type, tells_of_event
from bridge.voucherify.keys import BUSINESS_KEEP, SHORT_KEEP
from bridge.voucherify.signature import strip_insignificant
from bridge.voucherify.values import identifier, member

Kind = Literal["project", "distribution", "raw", "unknown"]

_KINDS: Mapping[str, Kind] = {"webhook": "project", "distribution": "distribution"}
_ITERABLE_KEYS = frozenset(
    {"campaignId", "recipientUserId", "recipientEmail", "dataFields"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Event data, and what is known of the event around it."""

    kind: Kind
    event_type: str | None
    data: Mapping[str, Json]
    #: `id` of the envelope: this event to this address.
    send_out_id: str | None = None
    #: `event.id` of the envelope: this event to every address.
    event_id: str | None = None
    #: SHA-256 of door and body; empty where the envelope has an id.
    digest: str = ""

    @property
    def has_iterable_keys(self) -> bool:
        """Whether the operator wrote Iterable's own request here."""
        return has_iterable_keys(self.data)

    @property
    def has_event_objects(self) -> bool:
        """Whether Voucherify's own objects are here, not only composed data."""
        return tells_of_event(self.data)

    def event_key(self) -> tuple[str, timedelta]:
        """Name the event itself, for a reward that has no better business key."""
        return (self.event_id, BUSINESS_KEEP) if self.event_id else self.body_key()

    def body_key(self) -> tuple[str, timedelta]:
        """Name the one request, for data the operator composed."""
        if self.send_out_id:
            return self.send_out_id, BUSINESS_KEEP
        return f"raw:{self.digest}", SHORT_KEEP


def has_iterable_keys(document: Mapping[str, Json]) -> bool:
    """Tell whether an object is the body of an Iterable campaign trigger."""
    return not _ITERABLE_KEYS.isdisjoint(document)


def digest_of(capture: Capture) -> str:
    """Hash door and significant bytes, in hexadecimal."""
    door = (capture.door or "").encode()
    stripped = strip_insignificant(capture.body)
    return hashlib.sha256(door + b"\n" + stripped).hexdigest()


def data_of(document: Json) -> Mapping[str, Json]:
    """Return the event data of a document: inside the envelope, or the root itself.

    Empty where there is none. Total over any JSON.
    """
    if not isinstance(document, dict):
        return {}
    return _event_data(document) if _is_envelope(document) else document


def send_out_id_of(document: Json) -> str | None:
    """Return the envelope's `id`, None where there is none to rely on."""
    if isinstance(document, dict) and _is_envelope(document):
        return identifier(document.get("id"))
    return None


def open_document(document: Json, *, digest: str) -> Content:
    """Tell what a document is.

    Raises:
        EnvelopeError: It is nothing that tells of an event.
    """
    if not isinstance(document, dict):
        raise EnvelopeError(f"the body is {_shape(document)}, not an object")
    if _is_envelope(document):
        return _opened(document, digest)
    if has_iterable_keys(document):
        event_type = identifier(member(document, "voucherify").get("event"))
        return Content(kind="raw", event_type=event_type, data=document, digest=digest)
    _refuse_known_strangers(document)
    if not isinstance(document.get("customer"), dict) or not tells_of_event(document):
        raise EnvelopeError(
            "the body is neither Voucherify's envelope, nor event data, "
            "nor has it Iterable's keys (campaignId, recipientUserId, dataFields)"
        )
    return Content(
        kind="raw", event_type=inferred_type(document), data=document, digest=digest
    )


def _is_envelope(document: Mapping[str, Json]) -> bool:
    has_both = all(isinstance(document.get(key), dict) for key in ("source", "event"))
    return has_both and "data" in document


def _opened(document: Mapping[str, Json], digest: str) -> Content:
    if not isinstance(document["data"], dict):
        raise EnvelopeError(f"data is {_shape(document['data'])}, not an object")
    event = document["event"]
    source = document["source"].get("object")
    kind = _KINDS.get(source, "unknown") if isinstance(source, str) else "unknown"
    event_type = identifier(event.get("type"))
    if event_type is None and kind == "project":
        # Only here: a distribution's `type` is a label that its operator may rename.
        event_type = identifier(document.get("type"))
    return Content(
        kind=kind,
        event_type=event_type,
        data=_event_data(document),
        send_out_id=identifier(document.get("id")),
        event_id=identifier(event.get("id")),
        digest=digest,
    )


def _event_data(envelope: Mapping[str, Json]) -> Mapping[str, Json]:
    data = member(envelope, "data")
    inner = data.get("data")
    # One of the vendor's schemas nests data.data; none of its examples does.
    is_nested = isinstance(inner, dict) and "customer" not in data
    if is_nested and not has_iterable_keys(data):
        return member(data, "data")
    return data


def _refuse_known_strangers(document: Mapping[str, Json]) -> None:
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


def _shape(value: Json) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a text"
    return "null" if value is None else "a number or a truth value"
