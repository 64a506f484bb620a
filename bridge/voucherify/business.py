"""Business keys: the name of each fact, the same whichever event tells it.

Each function returns None where the event lacks an id the name is made of.
"""

from collections.abc import Mapping

from bridge.model import Json
from bridge.voucherify.content import Content
from bridge.voucherify.people import customer_of
from bridge.voucherify.values import identifier, member


def rewarded_key(content: Content) -> str | None:
    """Name what one redemption, or custom event, earned by one assignment."""
    data = content.data
    assignment_id = identifier(member(data, "reward").get("assignment_id"))
    key = _joined("rewarded", _cause_id(data), assignment_id)
    tier_id = _id_of(data, "referral_tier")
    return key if key is None or tier_id is None else f"{key}:{tier_id}"


def redeemed_key(content: Content) -> str | None:
    """Name a loyalty reward bought with points, in one of its states."""
    redemption = member(content.data, "reward_redemption")
    state = identifier(redemption.get("state"))
    if state is None:
        state = (content.event_type or "").rpartition(".")[2]
    return _joined("rewr", identifier(redemption.get("id")), state.upper())


def points_key(content: Content) -> str | None:
    """Name points earned by one rule; two rules may share the event behind them."""
    data = content.data
    ids = (_id_of(data, name) for name in ("event", "earning_rule", "voucher"))
    return _joined("points", *ids)


def transaction_key(content: Content) -> str | None:
    """Name one movement on a card; every event about it has the same id."""
    return _joined("vtx", _id_of(content.data, "transaction"))


def referral_key(content: Content) -> str | None:
    """Name one friend's arrival."""
    return _joined("referred", _cause_id(content.data))


def trigger_key(content: Content) -> str | None:
    """Name an occasion that published no code, where it has a name of its own."""
    data, event_type = content.data, content.event_type or ""
    if event_type == "manual_distribution_schedule":
        customer_id = customer_of(data).customer_id
        return _joined("dist", _id_of(data, "distribution"), customer_id)
    if event_type == "customer.custom_event":
        return _joined("cev", _id_of(data, "event"))
    if event_type.startswith("customer.loyalty.tier") and content.event_id is None:
        return _joined(
            "tier",
            customer_of(data).customer_id,
            # Null on the first tier, and when the last one is lost.
            _id_of(data, "loyalty_tier_from") or "none",
            _id_of(data, "loyalty_tier_to") or "none",
            identifier(data.get("created_at")),
        )
    return None


def _cause_id(data: Mapping[str, Json]) -> str | None:
    redemption_id = _id_of(data, "redemption")
    return _id_of(data, "custom_event") if redemption_id is None else redemption_id


def _id_of(data: Mapping[str, Json], name: str) -> str | None:
    return identifier(member(data, name).get("id"))


def _joined(*parts: str | None) -> str | None:
    known = [part for part in parts if part is not None]
    return ":".join(known) if len(known) == len(parts) else None
