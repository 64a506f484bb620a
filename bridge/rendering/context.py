"""What a template can name: the reward and what came with it, as plain JSON values."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.config import Route
from bridge.model import Json, Parsed, Recipient, Reward
from bridge.voucherify import data_of

#: Every name a template has, and what it stands for (the table in `docs/templates.md`).
CONTEXT: Mapping[str, str] = {
    "reward": "what to tell: `key`, `code`, `codes`, `publication_id`, `published`, "
    "and where the event has them `points`, `amount` (cents), `name`, `type`",
    "customer": "Voucherify's customer who gets it",
    "voucher": "the first voucher handed over, as Voucherify sends it",
    "vouchers": "the list of all of them",
    "campaign": "the event's campaign",
    "publication": "the event's publication",
    "event": "`id`, `type`, `created_at` of the event",
    "recipient": "`user_id` or `email`: exactly one of them has a value",
    "route": "`name`, `campaign_id`, `endpoint`",
    "body": "Iterable's own request where the webhook carried one, else the whole "
    "document as received",
    "bridge_id": "id of the delivery, for `dataFields` and `metadata`",
}


def context_of(
    route: Route,
    endpoint: str,
    parsed: Parsed,
    reward: Reward,
    recipient: Recipient,
) -> dict[str, Any]:
    """Build all names but `bridge_id`; an object the webhook lacks is empty."""
    data = data_of(parsed.document)
    vouchers = list(reward.vouchers)
    return {
        "reward": dict(_reward(reward)),
        "customer": _customer(data, reward),
        "voucher": vouchers[0] if vouchers else {},
        "vouchers": vouchers,
        "campaign": dict(reward.campaign),
        "publication": _publication(data, reward),
        "event": _event(parsed),
        "recipient": {"user_id": recipient.user_id, "email": recipient.email},
        "route": {
            "name": route.name,
            "campaign_id": route.campaign_id,
            "endpoint": endpoint,
        },
        "body": parsed.document if reward.raw is None else reward.raw,
    }


def _reward(reward: Reward) -> Iterator[tuple[str, Json]]:
    """Yield what is known of the reward; what is not is undefined, not null."""
    yield from reward.facts.items()
    yield from {"key": reward.key, "codes": list(reward.codes)}.items()
    yield "published", reward.published
    if reward.codes:
        yield "code", reward.codes[0]
    if reward.publication_id is not None:
        yield "publication_id", reward.publication_id


def _customer(data: Mapping[str, Json], reward: Reward) -> dict[str, Json]:
    """Find the object of the customer who gets the reward, wherever it stands."""
    places = (
        data.get("customer"),
        data.get("holder"),
        _object(data.get("reward")).get("customer"),
        _object(data.get("publication")).get("customer"),
    )
    found = [place for place in places if isinstance(place, dict)]
    if reward.customer_id is None:
        return found[0] if found else {}
    for one in found:
        if one.get("id") == reward.customer_id:
            return one
    # Anybody else's name in the message would be worse than none.
    return {"id": reward.customer_id}


def _publication(data: Mapping[str, Json], reward: Reward) -> dict[str, Json]:
    publication = _object(data.get("publication"))
    if publication or reward.publication_id is None:
        return publication
    return {"id": reward.publication_id}


def _event(parsed: Parsed) -> dict[str, Json]:
    document = _object(parsed.document)
    # Event data at the root may hold an `event` too: the one that triggered this one.
    envelope = {} if parsed.kind == "raw" else document
    event = {"created_at": envelope.get("created_at"), **_object(envelope.get("event"))}
    event["type"] = parsed.event_type
    return {name: value for name, value in event.items() if value is not None}


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
