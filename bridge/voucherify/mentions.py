"""Whom a webhook names, anywhere in it: for forgetting, not for sending."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.errors import EnvelopeError
from bridge.model import Json
from bridge.voucherify.document import read
from bridge.voucherify.values import identifier

_SOURCES = frozenset(
    {
        *("source_id", "sourceid", "userid", "user_id", "recipientuserid"),
        *("customer_source_id", "tracking_id"),
    }
)
_CUSTOMER = re.compile(r"cust_[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """What one object of a webhook says of who somebody is."""

    source_ids: frozenset[str]
    #: In lower case.
    emails: frozenset[str]
    #: Voucherify's own (`cust_…`), of whomever it is about.
    customer_ids: frozenset[str]
    #: The one that goes with the names above: a redemption names several customers.
    customer_id: str | None
    #: True where the object is the customer, so that all its names are theirs.
    is_customer: bool


def mentions(body: bytes) -> list[Mention]:
    """List everybody a body names, some more than once; nobody where it is no JSON."""
    try:
        document = read(body)
    except EnvelopeError:
        return []
    found = (_mention(one) for one in _objects(document))
    return [one for one in found if one.source_ids or one.emails or one.customer_ids]


def _objects(document: Json) -> Iterator[Mapping[str, Json]]:
    if isinstance(document, dict):
        yield document
    if isinstance(document, dict | list):
        for child in document.values() if isinstance(document, dict) else document:
            yield from _objects(child)


def _mention(one: Mapping[str, Json]) -> Mention:
    source_ids, emails, customer_ids = set(), set(), set()
    for name, value in one.items():
        text = identifier(value)
        if text is None:
            continue
        plain = name.lower()
        if plain in _SOURCES:
            source_ids.add(text)
        elif plain.endswith("email"):
            emails.add(text.strip().lower())
        if _CUSTOMER.fullmatch(text):
            customer_ids.add(text)
    own, holder = identifier(one.get("id")), identifier(one.get("customer_id"))
    is_customer = own in customer_ids
    return Mention(
        customer_id=own if is_customer else holder,
        is_customer=is_customer,
        source_ids=frozenset(source_ids),
        emails=frozenset(emails),
        customer_ids=frozenset(customer_ids),
    )
