"""Whom an event's reward is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import EnvelopeError
from bridge.model import Json
from bridge.voucherify.values import identifier, member, present


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer as far as the event describes one; source id and e-mail as sent."""

    customer_id: str | None
    source_id: Json
    email: Json


def customer_of(data: Mapping[str, Json]) -> Person:
    """Name the customer of an event: `customer`, else `holder`, else the publication's.

    The other two fill gaps only where they describe the same customer: a card holder's
    id must not stand in for a buyer who has none.
    """
    publication = member(data, "publication")
    objects = (
        member(data, "customer"),
        member(data, "holder"),
        member(publication, "customer"),
        _as_customer(publication),
    )
    return _person(objects)


def rewarded_of(data: Mapping[str, Json]) -> Person:
    """Name the person a `customer.rewarded` rewards.

    For referrals nobody documents whether `customer` is the referrer or the friend;
    whoever holds the reward's voucher is the one rewarded.

    Raises:
        EnvelopeError: The reward belongs to somebody the event does not describe.
    """
    reward = member(data, "reward")
    owner = identifier(member(reward, "voucher").get("holder_id"))
    if owner is None:
        owner = identifier(member(reward, "customer").get("id"))
    if owner is None:
        return customer_of(data)
    objects = (
        member(data, "customer"),
        member(data, "holder"),
        member(reward, "customer"),
    )
    owners = [one for one in objects if identifier(one.get("id")) == owner]
    if not owners:
        raise EnvelopeError(
            "the reward belongs to somebody other than customer and holder"
        )
    return _person(owners)


def _as_customer(publication: Mapping[str, Json]) -> dict[str, Json]:
    tracking_id = publication.get("tracking_id")
    # A publication's tracking id is the source id; `track_…` is the opaque kind that
    # redemptions have.
    if isinstance(tracking_id, str) and tracking_id.startswith("track_"):
        tracking_id = None
    return {"id": publication.get("customer_id"), "source_id": tracking_id}


def _person(objects: Sequence[Mapping[str, Json]]) -> Person:
    customer_id = source_id = email = None
    for one in objects:
        one_id = identifier(one.get("id"))
        is_other = one_id is not None and customer_id not in (None, one_id)
        if is_other:
            continue
        customer_id = customer_id if one_id is None else one_id
        source_id = present(one.get("source_id")) if source_id is None else source_id
        email = present(one.get("email")) if email is None else email
    return Person(customer_id=customer_id, source_id=source_id, email=email)
