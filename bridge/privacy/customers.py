"""Every name one customer has, learnt from what webhooks say. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bridge.model import Json
from bridge.text import parse_body

#: Least bytes of a name that is searched for in any text.
_LEAST_WORD = 6
_SOURCES = frozenset(
    {
        *("source_id", "sourceid", "userid", "user_id", "recipientuserid"),
        *("customer_source_id", "tracking_id"),
    }
)
_CUSTOMER = re.compile(r"cust_[A-Za-z0-9]+")
_MAX_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMention:
    """What one object of a webhook says about who somebody is."""

    source_ids: frozenset[str]
    #: In lower case.
    emails: frozenset[str]
    #: Voucherify's own (`cust_…`), of every customer it names.
    customer_ids: frozenset[str]
    #: The one that goes with the names above: a redemption names several customers.
    customer_id: str | None
    #: True where the object is the customer, so that all its names are theirs.
    is_customer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerIdentity:
    """Every name under which the ledger may know a customer."""

    source_ids: frozenset[str] = frozenset()
    #: In lower case.
    emails: frozenset[str] = frozenset()
    customer_ids: frozenset[str] = frozenset()
    #: Addresses seen beside those names; others may share them, so they find nothing.
    own_emails: frozenset[str] = frozenset()
    #: What look-up files make of the names.
    looked_up: frozenset[str] = frozenset()

    @property
    def every_email(self) -> frozenset[str]:
        """Name the addresses asked for, and those seen beside the other names."""
        return self.emails | self.own_emails

    @property
    def names(self) -> frozenset[str]:
        """Name what deliveries to this customer are stored under."""
        asked = self.source_ids | self.emails
        return asked | self.customer_ids | self.looked_up

    def matches(self, mention: CustomerMention) -> bool:
        """Tell whether a mention is of this customer."""
        return not (
            self.source_ids.isdisjoint(mention.source_ids)
            and self.emails.isdisjoint(mention.emails)
            and self.customer_ids.isdisjoint(mention.customer_ids)
        )

    def search_terms(self) -> list[bytes]:
        """Make what a body that names the customer must contain, in lower case."""
        found = set()
        for name in self.source_ids | self.emails | self.customer_ids:
            escaped = json.dumps(name)[1:-1].encode().lower()
            plain = name.encode("utf-8", "surrogatepass").lower()
            found |= {plain, escaped, escaped.replace(b"/", rb"\/")}
        return sorted(found)

    def is_written_in(self, text: bytes) -> bool:
        """Tell whether a text in lower case has one of the names as a word of its own.

        For bodies that are not JSON, or have a name under an unknown key. Short names
        are too often numbers or words of something else.
        """
        names = self.source_ids | self.emails | self.customer_ids
        return any(
            re.search(rb"(?<![a-z0-9])" + re.escape(name) + rb"(?![a-z0-9])", text)
            for name in (one.encode("utf-8", "surrogatepass").lower() for one in names)
            if len(name) >= _LEAST_WORD
        )

    def owns(self, recipient: str, customer_id: str | None) -> bool:
        """Tell whether a delivery is this customer's own."""
        if customer_id in self.customer_ids:
            return True
        names = self.source_ids | self.looked_up
        return recipient in names or recipient.strip().lower() in self.every_email

    def merge(self, mention: CustomerMention) -> "CustomerIdentity":
        """Learn the customer's other names from a mention that matches."""
        learnt = self
        if mention.customer_id is not None and not (
            self.source_ids.isdisjoint(mention.source_ids)
            and self.emails.isdisjoint(mention.emails)
        ):
            customer_ids = self.customer_ids | {mention.customer_id}
            learnt = replace(learnt, customer_ids=customer_ids)
        if mention.is_customer:
            learnt = replace(learnt, own_emails=self.own_emails | mention.emails)
            if self.emails:
                # A customer who is asked for by address has every account under it.
                source_ids = self.source_ids | mention.source_ids
                learnt = replace(learnt, source_ids=source_ids)
        return learnt


def mentions(body: bytes) -> list[CustomerMention]:
    """List everybody a body names, some more than once; [] where it is not JSON."""
    document = parse_body(body)
    if isinstance(document, str):
        return []
    found = (_mention(one) for one in _objects(document))
    return [one for one in found if one.source_ids or one.emails or one.customer_ids]


def _objects(document: Json) -> Iterator[Mapping[str, Json]]:
    if isinstance(document, dict):
        yield document
    if isinstance(document, dict | list):
        for child in document.values() if isinstance(document, dict) else document:
            yield from _objects(child)


def _mention(one: Mapping[str, Json]) -> CustomerMention:
    source_ids, emails, customer_ids = set(), set(), set()
    for name, value in one.items():
        text = _name(value)
        if text is None:
            continue
        plain = name.lower()
        if plain in _SOURCES:
            source_ids.add(text)
        elif plain.endswith("email"):
            emails.add(text.strip().lower())
        if _CUSTOMER.fullmatch(text):
            customer_ids.add(text)
    own, holder = _name(one.get("id")), _name(one.get("customer_id"))
    is_customer = own in customer_ids
    return CustomerMention(
        customer_id=own if is_customer else holder,
        is_customer=is_customer,
        source_ids=frozenset(source_ids),
        emails=frozenset(emails),
        customer_ids=frozenset(customer_ids),
    )


def _name(value: Json) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    is_name = isinstance(value, str) and value.strip() and len(value) <= _MAX_LENGTH
    return value if is_name else None
