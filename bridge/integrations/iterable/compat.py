"""Iterable-compatible endpoints: a tool that posts to Iterable changes only its host.

Which bodies are Iterable's own request, the addresses, and answers in Iterable's shape.
What a body means is decided by the source whose tool posts it. Pure.

References:
    Iterable's API documentation, `POST /api/email/target` and the other media,
    `POST /api/campaigns/trigger`.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from bridge.integrations import Answer, InboundEndpoint, Request
from bridge.model import Json

#: The endpoints that send one message to one person, the default first.
TARGETS = tuple(
    f"{medium}/target"
    for medium in ("email", "sms", "push", "inApp", "webPush", "whatsApp")
)
#: The address Voucherify's own page names; the route decides on the medium.
CAMPAIGN_TRIGGER = "campaigns/trigger"

_KEYS = frozenset({"campaignId", "recipientUserId", "recipientEmail", "dataFields"})
_CODES = {
    HTTPStatus.UNAUTHORIZED: "BadApiKey",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BatchTooLarge",
    HTTPStatus.TOO_MANY_REQUESTS: "RateLimitExceeded",
}


def is_request(document: Mapping[str, Json]) -> bool:
    """Tell whether an object is the body of an Iterable campaign trigger."""
    return not _KEYS.isdisjoint(document)


def endpoints(
    verify: Callable[[Request], None], kept_headers: tuple[str, ...]
) -> tuple[InboundEndpoint, ...]:
    """List the addresses, each authenticated by `verify`."""
    return tuple(
        InboundEndpoint(
            path=f"/api/{name}",
            verify=verify,
            endpoint=name,
            kept_headers=kept_headers,
            success=success,
            failure=failure,
        )
        for name in (*TARGETS, CAMPAIGN_TRIGGER)
    )


def success(event_id: str) -> Answer:
    """Answer as Iterable does where it accepted a message."""
    return _answer(200, "Success", f"Stored as event {event_id}")


def failure(status: int, reason: str) -> Answer:
    """Answer as Iterable does where it accepted none."""
    known = {int(one): code for one, code in _CODES.items()}
    is_server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = known.get(status, "GenericError" if is_server else "BadParams")
    return _answer(status, code, reason)


def _answer(status: int, code: str, message: str) -> Answer:
    return Answer(status=status, body={"msg": message, "code": code, "params": None})
