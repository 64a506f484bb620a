"""Whom an event's message is for, and that customer's object for templates. Pure."""

from collections.abc import Mapping, Sequence

from bridge.errors import EnvelopeError
from bridge.integrations.voucherify.document import identifier, member, present
from bridge.model import Customer, Json


def customer_of(data: Mapping[str, Json]) -> Customer:
    """Name the customer of an event: `customer`, else `holder`, else the publication's.

    The other two fill gaps only where they describe the same customer: a card holder's
    id must not be used for a buyer who has none.
    """
    publication = member(data, "publication")
    objects = (
        member(data, "customer"),
        member(data, "holder"),
        member(publication, "customer"),
        _as_customer(publication),
    )
    return _combined(objects)


def rewarded_of(data: Mapping[str, Json]) -> Customer:
    """Name the customer a `customer.rewarded` rewards.

    For referrals it is not documented whether `customer` is the referrer or the friend:
    the holder of the reward's voucher is the one rewarded.

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
    return _combined(owners)


def object_of(data: Mapping[str, Json], customer: Customer) -> dict[str, Json]:
    """Find the object of the customer who gets the message, wherever it is."""
    places = (
        member(data, "customer"),
        member(data, "holder"),
        member(member(data, "reward"), "customer"),
        member(member(data, "publication"), "customer"),
    )
    found = [dict(place) for place in places if place]
    if customer.id is None:
        return found[0] if found else {}
    # Somebody else's name in the message would be worse than none.
    theirs = (one for one in found if one.get("id") == customer.id)
    return next(theirs, {"id": customer.id})


def _as_customer(publication: Mapping[str, Json]) -> dict[str, Json]:
    tracking_id = publication.get("tracking_id")
    # A publication's tracking id is the source id; `track_…` is the opaque kind that
    # redemptions have.
    if isinstance(tracking_id, str) and tracking_id.startswith("track_"):
        tracking_id = None
    return {"id": publication.get("customer_id"), "source_id": tracking_id}


def _combined(objects: Sequence[Mapping[str, Json]]) -> Customer:
    customer_id = source_id = email = None
    for one in objects:
        one_id = identifier(one.get("id"))
        is_other = one_id is not None and customer_id not in (None, one_id)
        if is_other:
            continue
        customer_id = customer_id if one_id is None else one_id
        source_id = present(one.get("source_id")) if source_id is None else source_id
        email = present(one.get("email")) if email is None else email
    return Customer(id=customer_id, source_id=source_id, email=email)
