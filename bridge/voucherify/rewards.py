"""Event data to rewards: what each event gives, and to whom.

References:
    Voucherify's documentation, the reference of webhook events and their `data`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache

from bridge.errors import EnvelopeError
from bridge.model import Json, Reward
from bridge.voucherify import business
from bridge.voucherify.content import Content
from bridge.voucherify.keys import BUSINESS_KEEP, publication_key
from bridge.voucherify.people import Person, customer_of, rewarded_of
from bridge.voucherify.raw import raw_reward
from bridge.voucherify.values import identifier, is_absent, member

Object = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """How events of one kind are read; each tells of one reward."""

    key: Callable[[Content], str | None]
    person: Callable[[Object], Person] = customer_of
    #: True where the person gets `reward.voucher`, and the top-level one is the card
    #: that paid: showing that one would give the card's number away.
    is_bought: bool = False


_ON_CARD = _Family(key=business.transaction_key)
_FAMILIES: Mapping[str, _Family] = {
    "customer.rewarded": _Family(
        key=business.rewarded_key, person=rewarded_of, is_bought=True
    ),
    "customer.reward_redemptions.*": _Family(key=business.redeemed_key, is_bought=True),
    "customer.rewarded.loyalty_points": _Family(key=business.points_key),
    "customer.referred": _Family(key=business.referral_key),
    "*.balance_added": _ON_CARD,
    "*.points_added": _ON_CARD,
    "*.points_expired": _ON_CARD,
    "*.transaction.created": _ON_CARD,
}
_PUBLICATIONS = frozenset(
    {"voucher.published", "publication.succeeded", "customer.publication.succeeded"}
)
#: Events about a customer that bring nothing to tell.
_NO_REWARD = (
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "campaign.*",
    "redemption.*",
    "validation_rule*",
)


def rewards_of(content: Content) -> tuple[Reward, ...]:
    """List the rewards an event tells of; none for an event that is no reward.

    Raises:
        EnvelopeError: The event should tell of a reward but does not name it.
    """
    if content.has_iterable_keys:
        return (raw_reward(content),)
    event_type = content.event_type or ""
    if _is_no_reward(event_type):
        return ()
    family = _family(event_type)
    if family is not None:
        return (_of_family(content, family),)
    if event_type in _PUBLICATIONS or member(content.data, "publication"):
        return _published(content)
    return _occasion(content)


@lru_cache(maxsize=256)
def _family(event_type: str) -> _Family | None:
    for pattern, family in _FAMILIES.items():
        if fnmatchcase(event_type, pattern):
            return family
    return None


@lru_cache(maxsize=256)
def _is_no_reward(event_type: str) -> bool:
    return any(fnmatchcase(event_type, pattern) for pattern in _NO_REWARD)


def _of_family(content: Content, family: _Family) -> Reward:
    if not content.has_event_objects:
        return _composed(content)
    key, keep = family.key(content), BUSINESS_KEEP
    if key is None:
        key, keep = content.event_key()
    owner = member(content.data, "reward") if family.is_bought else content.data
    voucher = member(owner, "voucher")
    return _reward(
        content,
        (key, keep),
        person=family.person(content.data),
        voucher=voucher,
        is_handed_over=family.is_bought,
    )


def _published(content: Content) -> tuple[Reward, ...]:
    """Read a publication: one reward a voucher."""
    publication = member(content.data, "publication")
    if publication.get("result") == "FAILURE":
        return ()
    vouchers = tuple(_shown(content.data, publication))
    if not vouchers and not publication:
        return (_composed(content),)
    if not vouchers:
        raise EnvelopeError("the publication shows no voucher")
    person = customer_of(content.data)
    is_alone = len(vouchers) == 1
    rewards = {}
    for voucher in vouchers:
        key = _published_key(content, publication, voucher, is_alone=is_alone)
        # The same voucher listed twice is still one reward.
        if key not in rewards:
            rewards[key] = _reward(content, key, person=person, voucher=voucher)
    return tuple(rewards.values())


def _published_key(
    content: Content, publication: Object, voucher: Object, *, is_alone: bool
) -> tuple[str, timedelta]:
    publication_id = identifier(publication.get("id"))
    name = identifier(voucher.get("id")) or identifier(voucher.get("code")) or "?"
    if publication_id is not None:
        return publication_key(publication_id, name), BUSINESS_KEEP
    key, keep = content.event_key()
    return (key if is_alone else f"{key}:{name}"), keep


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


def _occasion(content: Content) -> tuple[Reward, ...]:
    """Read an event that published no code, or one nobody has described yet."""
    if member(content.data, "customer"):
        key = business.trigger_key(content)
        named = content.event_key() if key is None else (key, BUSINESS_KEEP)
        return (_reward(content, named, person=customer_of(content.data)),)
    # A distribution speaks of one customer always; without one, its data was composed.
    return (_composed(content),) if content.kind == "distribution" else ()


def _composed(content: Content) -> Reward:
    """Read data the operator composed: the event's own objects are gone."""
    person = customer_of(content.data)
    return _reward(content, content.body_key(), person=person)


def _reward(
    content: Content,
    key: tuple[str, timedelta],
    *,
    person: Person,
    voucher: Object | None = None,
    is_handed_over: bool = True,
) -> Reward:
    publication = member(content.data, "publication")
    listed = publication.get("vouchers_id")
    vouchers = (voucher,) if voucher else ()
    return Reward(
        key=key[0],
        keep=key[1],
        customer_id=person.customer_id,
        source_id=person.source_id,
        email=person.email,
        vouchers=vouchers,
        is_handed_over=is_handed_over,
        codes=_codes(vouchers, is_handed_over=is_handed_over),
        campaign=member(content.data, "campaign"),
        publication_id=identifier(publication.get("id")),
        published=len(listed) if isinstance(listed, list) else 0,
        facts=_facts(content.data),
    )


def _codes(vouchers: tuple[Object, ...], *, is_handed_over: bool) -> tuple[str, ...]:
    codes = tuple(identifier(voucher.get("code")) for voucher in vouchers)
    if is_handed_over and None in codes:
        raise EnvelopeError("the voucher has no code that could be shown")
    return tuple(code for code in codes if code is not None)


def _facts(data: Object) -> dict[str, Json]:
    """Collect what templates say beside the code; only what is there."""
    balance = member(data, "balance")
    if not balance:
        balance = member(member(member(data, "transaction"), "details"), "balance")
    reward, points = member(data, "reward"), data.get("points")
    facts = {
        "points": balance.get("points") if points is None else points,
        "amount": balance.get("amount"),
        "name": reward.get("name"),
        "type": reward.get("type"),
    }
    return {name: value for name, value in facts.items() if not is_absent(value)}
