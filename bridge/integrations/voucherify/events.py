"""Event data to messages: which events reward somebody, with what, and whom. Pure.

An allow-list: an event that is not listed here makes no message.

References:
    Voucherify's documentation, the reference of webhook events and their `data`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from bridge.errors import EnvelopeError
from bridge.integrations.iterable import compat
from bridge.integrations.voucherify import keys
from bridge.integrations.voucherify.customers import customer_of, rewarded_of
from bridge.integrations.voucherify.document import identifier, member
from bridge.integrations.voucherify.envelope import BUSINESS_TTL, Envelope
from bridge.integrations.voucherify.messages import Key, Object, reward
from bridge.integrations.voucherify.raw import raw_message
from bridge.model import Customer, Json, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How events of one kind are read; each makes one message."""

    key: Callable[[Envelope], str | None]
    customer: Callable[[Object], Customer] = customer_of
    #: True where the customer gets `reward.voucher`, and the top-level one is the card
    #: that paid: showing that one would give the card's number away.
    is_bought: bool = False
    #: A second name of the same fact, in another event about it.
    alias: Callable[[Envelope], str | None] | None = None


_ON_CARD = Family(key=keys.transaction_key)
FAMILIES: Mapping[str, Family] = {
    "customer.rewarded": Family(
        key=keys.rewarded_key, customer=rewarded_of, is_bought=True
    ),
    "customer.reward_redemptions.*": Family(key=keys.redemption_key, is_bought=True),
    "customer.rewarded.loyalty_points": Family(key=keys.points_key),
    "customer.referred": Family(key=keys.referral_key),
    "*.balance_added": _ON_CARD,
    "*.points_added": _ON_CARD,
    "*.points_expired": _ON_CARD,
    "*.transaction.created": _ON_CARD,
    "*.pending_points.*": Family(
        key=keys.pending_points_key, alias=keys.transaction_key
    ),
}
PUBLICATIONS = frozenset(
    {"voucher.published", "publication.succeeded", "customer.publication.succeeded"}
)
#: Occasions at which an operator has a distribution send something, with or without a
#: code, each with its business key. A project webhook brings none of these.
OCCASIONS: Mapping[str, Callable[[Envelope], str | None]] = {
    "manual_distribution_schedule": keys.manual_key,
    "customer.custom_event": keys.custom_event_key,
    "customer.loyalty.tier*": keys.tier_key,
    "customer.segment.*": lambda _: None,
    "customer.order.*": lambda _: None,
}
#: Patterns of every event type that can make a message, for checks.
EVENT_TYPES = (*sorted(PUBLICATIONS), *FAMILIES, *OCCASIONS)


def messages_of(envelope: Envelope) -> tuple[Message, ...]:
    """List the messages an event asks for; none for an event that is no reward.

    Raises:
        EnvelopeError: The event should bring a reward but does not name it.
    """
    if compat.is_request(envelope.data):
        return (raw_message(envelope),)
    event_type = envelope.event_type or ""
    family = _lookup(event_type)
    if family is not None:
        return (_of_family(envelope, family),)
    is_occasion = _is_occasion(envelope)
    if event_type in PUBLICATIONS or (
        is_occasion and member(envelope.data, "publication")
    ):
        return _published(envelope)
    if is_occasion:
        return (_occasion(envelope),)
    # Without a customer it is no event data but what an operator wrote.
    is_written = envelope.kind == "distribution" and "customer" not in envelope.data
    return (_written(envelope),) if is_written else ()


@lru_cache(maxsize=256)
def _lookup(event_type: str) -> Family | None:
    for pattern, family in FAMILIES.items():
        if fnmatchcase(event_type, pattern):
            return family
    return None


def _is_occasion(envelope: Envelope) -> bool:
    if envelope.kind not in ("distribution", "raw"):
        return False
    # Event data sent raw may leave its type open.
    return envelope.event_type is None or _occasion_key(envelope.event_type) is not None


def _occasion_key(event_type: str) -> Callable[[Envelope], str | None] | None:
    for pattern, key in OCCASIONS.items():
        if fnmatchcase(event_type, pattern):
            return key
    return None


def _of_family(envelope: Envelope, family: Family) -> Message:
    if not envelope.has_event_objects:
        return _written(envelope)
    name = family.key(envelope)
    alias = None if family.alias is None else family.alias(envelope)
    owner = member(envelope.data, "reward") if family.is_bought else envelope.data
    return reward(
        envelope.data,
        envelope.fallback_key() if name is None else (name, BUSINESS_TTL),
        customer=family.customer(envelope.data),
        voucher=member(owner, "voucher"),
        is_granted=family.is_bought,
        alias_keys=() if alias is None else ((alias, BUSINESS_TTL),),
    )


def _published(envelope: Envelope) -> tuple[Message, ...]:
    """Read a publication: one message a voucher."""
    publication = member(envelope.data, "publication")
    if publication.get("result") == "FAILURE":
        return ()
    vouchers = tuple(_shown(envelope.data, publication))
    if not vouchers and not publication:
        return (_written(envelope),)
    if not vouchers:
        raise EnvelopeError("the publication shows no voucher")
    customer = customer_of(envelope.data)
    is_alone = len(vouchers) == 1
    named: dict[Key, Object] = {}
    for voucher in vouchers:
        key = _published_key(envelope, publication, voucher, is_alone=is_alone)
        # The same voucher listed twice is still one message.
        named.setdefault(key, voucher)
    return tuple(
        reward(envelope.data, key, customer=customer, voucher=voucher)
        for key, voucher in named.items()
    )


def _published_key(
    envelope: Envelope, publication: Object, voucher: Object, *, is_alone: bool
) -> Key:
    publication_id = identifier(publication.get("id"))
    name = identifier(voucher.get("id")) or identifier(voucher.get("code")) or "?"
    if publication_id is not None:
        return keys.publication_key(publication_id, name), BUSINESS_TTL
    key, ttl = envelope.fallback_key()
    return (key if is_alone else f"{key}:{name}"), ttl


def _shown(data: Object, publication: Object) -> Iterator[Object]:
    """Yield the vouchers an event shows, from the first place that has any."""
    for owner in (data, publication):
        several, one = owner.get("vouchers"), owner.get("voucher")
        found = several if isinstance(several, list) and several else [one]
        vouchers = [_voucher(voucher) for voucher in found if voucher]
        if vouchers:
            yield from vouchers
            return


def _voucher(value: Json) -> Object:
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {"code": value}  # the API's form of a list of vouchers
    raise EnvelopeError("a voucher of the publication is neither object nor code")


def _occasion(envelope: Envelope) -> Message:
    """Read an event that published no code."""
    if not member(envelope.data, "customer"):
        return _written(envelope)
    name_of = _occasion_key(envelope.event_type or "")
    name = None if name_of is None else name_of(envelope)
    key = envelope.fallback_key() if name is None else (name, BUSINESS_TTL)
    return reward(envelope.data, key, customer=customer_of(envelope.data))


def _written(envelope: Envelope) -> Message:
    """Read data the operator wrote: the event's own objects are gone."""
    customer = customer_of(envelope.data)
    return reward(envelope.data, envelope.body_key(), customer=customer)
