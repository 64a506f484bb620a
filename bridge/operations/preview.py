"""What would be sent for a webhook or a stored delivery; nothing is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge import routing
from bridge.bootstrap import Bridge
from bridge.config import Match, Route
from bridge.errors import ConfigError, RecipientError, RenderError
from bridge.model import (
    Capture,
    Delivery,
    EventStatus,
    Message,
    NewDelivery,
    ParsedWebhook,
)
from bridge.recipients import recipient_of
from bridge.rendering import Templates

#: In place of the id of a delivery that is not stored.
DELIVERY_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One payload, or why there is none."""

    #: File and line, or the delivery.
    where: str
    #: What the event would be; `held` for a delivery that could not be sent.
    status: str
    reason: str | None = None
    route: str | None = None
    destination: str | None = None
    endpoint: str | None = None
    recipient: str | None = None
    key: str | None = None
    payload: bytes | None = None


def of_webhook(
    bridge: Bridge, templates: Templates, where: str, capture: Capture
) -> Iterator[Preview]:
    """Make every payload of one webhook."""
    event = bridge.intake.decide(capture)
    if event.status is not EventStatus.STORED:
        yield Preview(where=where, status=event.status, reason=event.reason)
    for delivery in event.deliveries:
        yield _of_delivery(bridge, templates, delivery, capture, where)


def of_stored(bridge: Bridge, delivery: Delivery, capture: Capture) -> Preview:
    """Make the payload that a stored delivery would send now."""
    where = f"delivery {delivery.id}"
    route = bridge.config.route(delivery.route)
    if route is None:
        reason = f"route {delivery.route} is no longer configured"
        return _preview(delivery, where, None, reason)
    try:
        templates = Templates(bridge.config.templates, [route.template])
    except ConfigError as error:
        return _preview(delivery, where, None, _joined(error))
    return _of_delivery(bridge, templates, delivery, capture, where)


def of_route(
    bridge: Bridge, route: Route, capture: Capture, *, template: str | None
) -> Preview:
    """Make the payload that a webhook's first message would be on a route.

    Args:
        bridge: For the sources and the folder of templates.
        route: Used whatever its `match` asks of webhooks.
        capture: Any webhook.
        template: The template's text, if not that of its file.
    """
    payload = reason = None
    edited = None if template is None else {route.template: template}
    try:
        templates = Templates(bridge.config.templates, [route.template], edited)
        source = bridge.sources[route.source]
        parsed = source.parse(capture)
        any_match = replace(route, match=Match())
        planned = routing.plan(parsed, [any_match], source, capture=capture)
        if planned:
            payload = _payload(bridge, templates, route, parsed, planned[0].message)
        else:
            reason = parsed.problem or "the webhook brings no message"
    except ConfigError as error:
        reason = _joined(error)
    except (RecipientError, RenderError) as error:
        reason = str(error)
    return Preview(
        where=route.template,
        status=EventStatus.STORED if reason is None else "held",
        reason=reason,
        route=route.name,
        destination=route.destination,
        endpoint=route.endpoint,
        payload=payload,
    )


def _of_delivery(
    bridge: Bridge,
    templates: Templates,
    delivery: NewDelivery | Delivery,
    capture: Capture,
    where: str,
) -> Preview:
    source, route = bridge.sources[capture.source], bridge.config.route(delivery.route)
    parsed = source.parse(capture)
    message = source.find(parsed, delivery.key)
    if route is None or message is None:
        reason = "its event no longer contains the message"
        return _preview(delivery, where, None, reason)
    try:
        payload = _payload(bridge, templates, route, parsed, message, delivery)
    except (RecipientError, RenderError) as error:
        return _preview(delivery, where, None, str(error))
    return _preview(delivery, where, payload)


def _payload(
    bridge: Bridge,
    templates: Templates,
    route: Route,
    parsed: ParsedWebhook,
    message: Message,
    delivery: NewDelivery | Delivery | None = None,
) -> bytes:
    destination = bridge.destinations[route.destination]
    recipient = recipient_of(
        message.customer, route.recipient, check=destination.check_recipient
    )
    return templates.render(
        route,
        endpoint=route.endpoint if delivery is None else delivery.endpoint,
        parsed=parsed,
        message=message,
        recipient=recipient,
        delivery_id=delivery.id if isinstance(delivery, Delivery) else DELIVERY_ID,
        destination=destination,
    ).body


def _preview(
    delivery: NewDelivery | Delivery,
    where: str,
    payload: bytes | None,
    reason: str | None = None,
) -> Preview:
    status = delivery.status if isinstance(delivery, Delivery) else EventStatus.STORED
    return Preview(
        where=where,
        status="held" if payload is None else status,
        reason=reason,
        route=delivery.route,
        destination=delivery.destination,
        endpoint=delivery.endpoint,
        recipient=delivery.recipient,
        key=delivery.key,
        payload=payload,
    )


def _joined(error: ConfigError) -> str:
    return "; ".join(str(problem) for problem in error.problems)
