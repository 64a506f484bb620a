"""The names a template has: what the source gives, and what the bridge adds."""

from collections.abc import Mapping
from typing import Any

from bridge.config import Route
from bridge.model import Message, ParsedWebhook, Recipient

#: Names that every source's templates have, and what they are.
CONTEXT: Mapping[str, str] = {
    "event": "`id`, `type`, `created_at` of the event",
    "recipient": "`user_id` or `email`: exactly one of them has a value",
    "route": "`name`, `campaign_id`, `endpoint`",
    "body": "the destination's own request where the webhook carried one, else the "
    "whole document as received",
    "bridge_id": "id of the delivery",
}
#: Names whose fields are all known.
FIELDS: Mapping[str, frozenset[str]] = {
    "recipient": frozenset({"user_id", "email"}),
    "route": frozenset({"name", "campaign_id", "endpoint"}),
}


def context_of(
    route: Route,
    endpoint: str,
    parsed: ParsedWebhook,
    message: Message,
    recipient: Recipient,
) -> dict[str, Any]:
    """Build all names but `bridge_id`."""
    return {
        **message.data,
        "event": dict(parsed.event),
        "recipient": {"user_id": recipient.user_id, "email": recipient.email},
        "route": {
            "name": route.name,
            "campaign_id": route.campaign_id,
            "endpoint": endpoint,
        },
        "body": parsed.document if message.raw is None else message.raw,
    }
