"""What makes the second telling of one reward recognisable."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from bridge.model import Parsed, Reward
from bridge.voucherify.values import identifier

#: Voucherify sends an event again by hand up to 14 days later; twice that, and a bit.
BUSINESS_KEEP = timedelta(days=30)
#: Covers the 24 hours in which Voucherify repeats a webhook, and no legitimate second
#: message of tomorrow.
SHORT_KEEP = timedelta(hours=25)
#: Stands for all vouchers of a publication.
WHOLE = "*"
_PUBLICATION = "pub:"
#: Business keys of what happens on a card that the person has already.
_ON_CARD = ("points:", "vtx:")


def publication_key(publication_id: str, voucher: str) -> str:
    """Name the fact that a publication gave a voucher (`WHOLE` for all of them)."""
    return f"{_PUBLICATION}{publication_id}:{voucher}"


def publication_id_of(key: str) -> str | None:
    """Find which publication a business key names; None for another fact."""
    if not key.startswith(_PUBLICATION):
        return None
    return key.removeprefix(_PUBLICATION).partition(":")[0]


def hands_over(key: str) -> bool:
    """Tell whether the codes of a delivery with this business key are new to someone.

    They are not where the code is that of a card on which something happened.
    """
    return not key.startswith(_ON_CARD)


def whole_publication(rewards: Sequence[Reward]) -> Reward:
    """Merge the rewards of one publication into one with all vouchers and codes.

    Args:
        rewards: At least one, all with the same `publication_id`.
    """
    first = rewards[0]
    return replace(
        first,
        key=publication_key(first.publication_id or "", WHOLE),
        also=_once(key for one in rewards for key in (one.key, *one.also)),
        vouchers=tuple(voucher for one in rewards for voucher in one.vouchers),
        codes=tuple(code for one in rewards for code in one.codes),
        published=max(one.published for one in rewards),
    )


def is_publication(reward: Reward) -> bool:
    """Tell whether the publication is what makes a reward recognisable.

    Points on a published card are none, nor is a reward bought with points: the
    redemption is their fact, whatever was published for it.
    """
    return reward.publication_id is not None and reward.key.startswith(
        publication_key(reward.publication_id, "")
    )


def find_reward(parsed: Parsed, key: str) -> Reward | None:
    """Find a reward by its business key, that of a whole publication included."""
    for reward in parsed.rewards:
        if reward.key == key:
            return reward
    if not key.endswith(f":{WHOLE}"):
        return None
    siblings = [
        reward
        for reward in parsed.rewards
        if is_publication(reward)
        and publication_key(reward.publication_id or "", WHOLE) == key
    ]
    return whole_publication(siblings) if siblings else None


def keys_of(reward: Reward) -> tuple[tuple[str, timedelta], ...]:
    """List every key a delivery of this reward takes, with how long each is kept.

    The code keys make `customer.rewarded` and the publication of the same coupon one
    message, though their business keys have nothing in common.
    """
    keys = [(key, reward.keep) for key in _once((reward.key, *reward.also))]
    keys += [(key, SHORT_KEEP) for key in _once(_code_keys(reward))]
    return tuple(keys)


def _code_keys(reward: Reward) -> Iterator[str]:
    if not reward.is_handed_over or reward.customer_id is None:
        return
    for voucher in reward.vouchers:
        voucher_id = identifier(voucher.get("id"))
        if voucher_id is not None:
            yield f"code:{voucher_id}:{reward.customer_id}"


def _once(keys: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(keys))
