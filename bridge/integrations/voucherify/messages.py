"""Rewards as messages: keys, codes and template data; merging a publication's. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bridge.errors import EnvelopeError
from bridge.integrations.voucherify.customers import object_of
from bridge.integrations.voucherify.document import (
    identifier,
    is_absent,
    member,
    moment,
)
from bridge.integrations.voucherify.envelope import SHORT_TTL
from bridge.integrations.voucherify.keys import WHOLE, code_key, publication_key
from bridge.model import Customer, Group, Json, Message, ParsedWebhook

Object = Mapping[str, Json]
Key = tuple[str, timedelta]

#: Template names that this source fills, with their meaning.
CONTEXT: Mapping[str, str] = {
    "reward": "the reward: `key`, `code`, `codes`, `publication_id`, `published`, "
    "and where the event has them `points`, `amount` (cents), `name`, `type`",
    "customer": "Voucherify's customer who gets it",
    "voucher": "the first voucher handed over, as Voucherify sends it",
    "vouchers": "the list of all of them",
    "campaign": "the event's campaign",
    "publication": "the event's publication",
}
#: Names below `reward`: no other can ever have a value.
CONTEXT_FIELDS: Mapping[str, frozenset[str]] = {
    "reward": frozenset(
        {
            *("key", "code", "codes", "publication_id", "published"),
            *("points", "amount", "name", "type"),
        }
    )
}


def reward(
    data: Object,
    key: Key,
    *,
    customer: Customer,
    voucher: Object | None = None,
    is_granted: bool = True,
    alias_keys: tuple[Key, ...] = (),
) -> Message:
    """Make the message of one reward.

    Args:
        data: The event data.
        key: Business key and how long it is remembered.
        customer: Who gets it.
        voucher: What is handed over, or the card it is about.
        is_granted: False where the customer has the code already.
        alias_keys: Further keys of the same fact.

    Raises:
        EnvelopeError: The voucher granted has no usable code.
    """
    vouchers = (voucher,) if voucher else ()
    codes = _codes(vouchers, is_granted=is_granted)
    if is_granted:
        alias_keys += code_keys(vouchers, customer)
    group = _group(key[0], member(data, "publication"))
    campaign = member(data, "campaign")
    expiries = (moment(one.get("expiration_date")) for one in vouchers)
    return Message(
        key=key[0],
        key_ttl=key[1],
        alias_keys=alias_keys,
        customer=customer,
        codes=codes,
        campaigns=_campaigns(campaign, vouchers),
        voucher_types=_types(vouchers),
        expires_at=min(filter(None, expiries), default=None),
        group=group,
        data=_template_data(data, key[0], customer, vouchers, codes),
    )


def _template_data(
    data: Object,
    key: str,
    customer: Customer,
    vouchers: Sequence[Object],
    codes: tuple[str, ...],
) -> dict[str, Json]:
    publication = member(data, "publication")
    size, publication_id = _size(publication), identifier(publication.get("id"))
    return {
        "reward": _facts(data) | template_reward(key, codes, size, publication_id),
        "customer": object_of(data, customer),
        "voucher": vouchers[0] if vouchers else {},
        "vouchers": list(vouchers),
        "campaign": dict(member(data, "campaign")),
        "publication": dict(publication),
    }


def merge(messages: Sequence[Message]) -> Message:
    """Merge the messages of one publication into one with all vouchers and codes.

    Args:
        messages: At least one, all with the same group.
    """
    first = messages[0]
    group = first.group
    if group is None:
        return first
    own = ((one.key, one.key_ttl) for one in messages)
    aliases = (alias for one in messages for alias in one.alias_keys)
    codes = tuple(code for one in messages for code in one.codes)
    vouchers = [voucher for one in messages for voucher in one.data["vouchers"]]
    key = publication_key(group.id, WHOLE)
    size = max(one.group.size for one in messages if one.group is not None)
    reward = template_reward(key, codes, size, group.id)
    return replace(
        first,
        key=key,
        alias_keys=tuple(dict.fromkeys((*own, *aliases))),
        codes=codes,
        campaigns=_once(name for one in messages for name in one.campaigns),
        voucher_types=_once(name for one in messages for name in one.voucher_types),
        expires_at=min(
            (one.expires_at for one in messages if one.expires_at), default=None
        ),
        group=replace(group, size=size),
        data={
            **first.data,
            "vouchers": vouchers,
            "reward": first.data["reward"] | reward,
        },
    )


def find(parsed: ParsedWebhook, key: str) -> Message | None:
    """Find a message by its business key, that of a whole publication included."""
    for message in parsed.messages:
        if message.key == key:
            return message
    members = [
        one
        for one in parsed.messages
        if one.group is not None and publication_key(one.group.id, WHOLE) == key
    ]
    return merge(members) if members else None


def code_keys(vouchers: Sequence[Object], customer: Customer) -> tuple[Key, ...]:
    """Name the codes handed over, for as long as Voucherify repeats a webhook."""
    if customer.id is None:
        return ()
    ids = (identifier(voucher.get("id")) for voucher in vouchers)
    return tuple((code_key(one, customer.id), SHORT_TTL) for one in ids if one)


def _codes(vouchers: Sequence[Object], *, is_granted: bool) -> tuple[str, ...]:
    codes = tuple(identifier(voucher.get("code")) for voucher in vouchers)
    if is_granted and None in codes:
        raise EnvelopeError("the voucher has no code that could be shown")
    return tuple(code for code in codes if code is not None)


def template_reward(
    key: str, codes: tuple[str, ...], published: int, publication_id: str | None
) -> dict[str, Json]:
    """Say what a template knows of a reward; what is not known is undefined."""
    reward: dict[str, Json] = {"key": key, "codes": list(codes), "published": published}
    if codes:
        reward["code"] = codes[0]
    if publication_id is not None:
        reward["publication_id"] = publication_id
    return reward


def _facts(data: Object) -> dict[str, Json]:
    """Collect what templates say beside the code; only what is there."""
    balance = member(data, "balance")
    if not balance:
        balance = member(member(member(data, "transaction"), "details"), "balance")
    pending, reward = member(data, "pending_points"), member(data, "reward")
    points = (data.get("points"), balance.get("points"), pending.get("points"))
    facts = {
        "points": next((one for one in points if one is not None), None),
        "amount": balance.get("amount"),
        "name": reward.get("name"),
        "type": reward.get("type"),
    }
    return {name: value for name, value in facts.items() if not is_absent(value)}


def _group(key: str, publication: Object) -> Group | None:
    """Say which publication a message is part of.

    Points on a published card are no part of one, nor is a reward bought with points:
    the redemption is their fact, whatever was published for it.
    """
    publication_id = identifier(publication.get("id"))
    if publication_id is None:
        return None
    is_part = key.startswith(publication_key(publication_id, ""))
    return Group(id=publication_id, size=_size(publication)) if is_part else None


def _size(publication: Object) -> int:
    listed = publication.get("vouchers_id")
    return len(listed) if isinstance(listed, list) else 0


def _campaigns(campaign: Object, vouchers: Sequence[Object]) -> tuple[str, ...]:
    names = [voucher.get("campaign") for voucher in vouchers]
    names += [campaign.get("name"), campaign.get("id")]
    names += [voucher.get("campaign_id") for voucher in vouchers]
    return _once(name for name in names if isinstance(name, str) and name)


def _types(vouchers: Sequence[Object]) -> tuple[str, ...]:
    if not vouchers:
        return ("NONE",)
    types = (voucher.get("type") for voucher in vouchers)
    return _once(one for one in types if isinstance(one, str))


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
