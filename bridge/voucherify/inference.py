"""Which event a root without an envelope tells of: default payload, sent raw."""

from collections.abc import Mapping

from bridge.model import Json
from bridge.voucherify.values import identifier, member

#: Objects that only event data has, each with the event it tells of. The first one
#: that is there counts: reward redemptions carry a publication, too.
_EVENT_OBJECTS: Mapping[str, str | None] = {
    "distribution": "manual_distribution_schedule",
    "reward_redemption": "customer.reward_redemptions.",
    "earning_rule": "customer.rewarded.loyalty_points",
    "reward": "customer.rewarded",
    "referrer": "customer.referred",
    "loyalty_tier_to": "customer.loyalty.tier",
    "publication": "customer.publication.succeeded",
    "transaction": "customer.voucher.",
    "event_schema": "customer.custom_event",
    "voucher": None,
}


def tells_of_event(data: Mapping[str, Json]) -> bool:
    """Tell whether an object holds Voucherify's own event data."""
    return any(isinstance(data.get(name), dict) for name in _EVENT_OBJECTS)


def inferred_type(data: Mapping[str, Json]) -> str | None:
    """Infer the event's type, None where the objects leave it open."""
    told = next(
        (name for name in _EVENT_OBJECTS if isinstance(data.get(name), dict)), ""
    )
    event_type = _EVENT_OBJECTS.get(told)
    if told == "reward_redemption":
        state = identifier(data[told].get("state")) or "unknown"
        return f"{event_type}{state.lower()}"
    return f"{event_type}{_movement(data)}" if told == "transaction" else event_type


def _movement(data: Mapping[str, Json]) -> str:
    if member(data, "voucher").get("type") == "GIFT_VOUCHER":
        return "gift.balance_added"
    return f"loyalty_card.points_{'expired' if 'buckets' in data else 'added'}"
