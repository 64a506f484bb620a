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
_WHOLE = ":*"


def publication_key(publication_id: str, voucher: str) -> str:
    """Name the fact that a publication gave a voucher (`*` for all of them)."""
    return f"pub:{publication_id}:{voucher}"


def whole_publication(rewards: Sequence[Reward]) -> Reward:
    """Merge the rewards of one publication into one with all vouchers and codes.

    Args:
        rewards: At least one, all with the same `publication_id`.
    """
    first = rewards[0]
    return replace(
        first,
        key=publication_key(first.publication_id or "", "*"),
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
    if not key.endswith(_WHOLE):
        return None
    siblings = [
        reward
        for reward in parsed.rewards
        if is_publication(reward)
        and publication_key(reward.publication_id or "", "*") == key
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
