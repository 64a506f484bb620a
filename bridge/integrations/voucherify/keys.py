"""Business keys: the name of each fact, the same whichever event brings it. Pure.

Each `*_key` returns None where the event lacks an id the name is made of.
"""

from collections.abc import Mapping

from bridge.integrations.voucherify.document import identifier, member
from bridge.integrations.voucherify.envelope import Envelope
from bridge.model import Json

#: Means all vouchers of a publication.
WHOLE = "*"
_PUBLICATION = "pub:"
#: Business keys of what happens on a card that the customer has already.
_ON_CARD = ("points:", "vtx:")
#: What happens only once to pending points; an update may come again and again.
_FINAL_STEPS = frozenset({"created", "activated", "canceled", "cancelled"})


def publication_key(publication_id: str, voucher: str) -> str:
    """Name the fact that a publication gave a voucher (`WHOLE` for all of them)."""
    return f"{_PUBLICATION}{publication_id}:{voucher}"


def publication_id_of(key: str) -> str | None:
    """Find which publication a business key names; None for another fact."""
    if not key.startswith(_PUBLICATION):
        return None
    return key.removeprefix(_PUBLICATION).partition(":")[0]


def code_key(voucher_id: str, customer_id: str) -> str:
    """Name the fact that a customer got a voucher, by whatever event.

    It makes `customer.rewarded` and the publication of the same coupon one message,
    though their business keys have nothing in common.
    """
    return f"code:{voucher_id}:{customer_id}"


def grants_code(key: str) -> bool:
    """Tell whether the codes of a message with this business key are new to someone.

    They are not where the code is that of a card on which something happened.
    """
    return not key.startswith(_ON_CARD)


def rewarded_key(envelope: Envelope) -> str | None:
    """Name what one redemption, or custom event, earned by one assignment."""
    data = envelope.data
    assignment_id = identifier(member(data, "reward").get("assignment_id"))
    key = _joined("rewarded", _cause_id(data), assignment_id)
    tier_id = _id_of(data, "referral_tier")
    return key if key is None or tier_id is None else f"{key}:{tier_id}"


def redemption_key(envelope: Envelope) -> str | None:
    """Name a loyalty reward bought with points, in one of its states."""
    redemption = member(envelope.data, "reward_redemption")
    state = identifier(redemption.get("state")) or _last_word(envelope)
    return _joined("rewr", identifier(redemption.get("id")), state.upper())


def points_key(envelope: Envelope) -> str | None:
    """Name points earned by one rule; two rules may share the event behind them."""
    ids = (_id_of(envelope.data, one) for one in ("event", "earning_rule", "voucher"))
    return _joined("points", *ids)


def pending_points_key(envelope: Envelope) -> str | None:
    """Name one step of pending points: project and distribution send it both."""
    step = _last_word(envelope)
    if step not in _FINAL_STEPS:
        return None
    return _joined("points", _id_of(envelope.data, "pending_points"), step)


def transaction_key(envelope: Envelope) -> str | None:
    """Name one movement on a card; every event about it has the same id."""
    return _joined("vtx", _id_of(envelope.data, "transaction"))


def referral_key(envelope: Envelope) -> str | None:
    """Name the arrival of one referred customer."""
    return _joined("referred", _cause_id(envelope.data))


def manual_key(envelope: Envelope) -> str | None:
    """Name a manual distribution to one customer."""
    data = envelope.data
    return _joined("dist", _id_of(data, "distribution"), _id_of(data, "customer"))


def custom_event_key(envelope: Envelope) -> str | None:
    """Name one custom event."""
    return _joined("cev", _id_of(envelope.data, "event"))


def tier_key(envelope: Envelope) -> str | None:
    """Name one change of a loyalty tier, where the event has no id of its own."""
    if envelope.event_id is not None:
        return None
    data = envelope.data
    return _joined(
        "tier",
        _id_of(data, "customer"),
        # Null on the first tier, and when the last one is lost.
        _id_of(data, "loyalty_tier_from") or "none",
        _id_of(data, "loyalty_tier_to") or "none",
        identifier(data.get("created_at")),
    )


def _last_word(envelope: Envelope) -> str:
    return (envelope.event_type or "").rpartition(".")[2]


def _cause_id(data: Mapping[str, Json]) -> str | None:
    return _id_of(data, "redemption") or _id_of(data, "custom_event")


def _id_of(data: Mapping[str, Json], name: str) -> str | None:
    return identifier(member(data, name).get("id"))


def _joined(*parts: str | None) -> str | None:
    known = [part for part in parts if part is not None]
    return ":".join(known) if len(known) == len(parts) else None
