"""What would be sent for a captured webhook, made as an attempt would make it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge import identity, routing, voucherify
from bridge.capture import Found
from bridge.config import Condition, Config, Route
from bridge.errors import ConfigError, EnvelopeError, RecipientError, RenderError
from bridge.intake import Intake
from bridge.model import Capture, EventStatus, NewDelivery
from bridge.rendering import Templates
from bridge.store import Story

#: Stands where the id of a stored delivery will.
DELIVERY_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One payload, or why there is none."""

    #: File and line.
    where: str
    #: What the event would be; `held` for a delivery that could not be sent.
    status: str
    reason: str | None = None
    route: str | None = None
    endpoint: str | None = None
    recipient: str | None = None
    key: str | None = None
    payload: bytes | None = None


class Previewer:
    """Renders without sending or storing.

    Args:
        config: For the routes.
        intake: Decides what a webhook becomes.
        templates: The compiled templates.
    """

    def __init__(self, config: Config, intake: Intake, templates: Templates) -> None:
        self._config = config
        self._intake = intake
        self._templates = templates

    def previews(self, found: Found) -> Iterator[Preview]:
        """Make every payload of one webhook."""
        arrival = self._intake.decide(found.capture)
        if arrival.status is not EventStatus.STORED:
            yield Preview(
                where=found.where, status=arrival.status, reason=arrival.reason
            )
        for delivery in arrival.deliveries:
            yield self._preview(found, delivery)

    def _preview(self, found: Found, delivery: NewDelivery) -> Preview:
        payload = reason = None
        try:
            payload = self._payload(found, delivery)
        except (RecipientError, RenderError) as error:
            reason = str(error)
        return Preview(
            where=found.where,
            status=EventStatus.STORED if reason is None else "held",
            reason=reason,
            route=delivery.route,
            endpoint=delivery.endpoint,
            recipient=delivery.recipient,
            key=delivery.key,
            payload=payload,
        )

    def _payload(self, found: Found, delivery: NewDelivery) -> bytes:
        parsed = voucherify.parse(found.capture)
        reward = voucherify.find_reward(parsed, delivery.key)
        route = self._config.route(delivery.route)
        if reward is None or route is None:
            raise AssertionError("the same bytes and routes made this delivery")
        return self._templates.render(
            route,
            endpoint=delivery.endpoint,
            parsed=parsed,
            reward=reward,
            recipient=identity.recipient(reward, route.recipient),
            delivery_id=DELIVERY_ID,
        ).body


def again(config: Config, story: Story) -> Preview:
    """Make the payload that a stored delivery would send now."""
    row = story.delivery
    payload = reason = None
    try:
        payload = _payload_now(config, story)
    except ConfigError as error:
        reason = "; ".join(str(problem) for problem in error.problems)
    except (RecipientError, RenderError) as error:
        reason = str(error)
    return Preview(
        where=f"delivery {row.id}",
        status=row.status if reason is None else "held",
        reason=reason,
        route=row.route,
        endpoint=row.endpoint,
        recipient=row.recipient,
        key=row.key,
        payload=payload,
    )


def _payload_now(config: Config, story: Story) -> bytes:
    row = story.delivery
    route = config.route(row.route)
    if route is None:
        raise RecipientError(f"route {row.route} is no longer configured")
    parsed = voucherify.parse(story.event.capture)
    reward = voucherify.find_reward(parsed, row.key)
    if reward is None:
        raise RecipientError("its event no longer shows the reward")
    templates = Templates(config.templates, [route.template])
    return templates.render(
        route,
        endpoint=row.endpoint,
        parsed=parsed,
        reward=reward,
        recipient=identity.recipient(reward, route.recipient),
        delivery_id=row.id,
    ).body


def on_route(
    config: Config, route: Route, capture: Capture, *, source: str | None
) -> Preview:
    """Make the payload that a webhook's first reward would be on a route.

    Args:
        config: For the folder of templates.
        route: Taken whatever it asks of webhooks.
        capture: Any webhook.
        source: The template's text, if not that of its file.
    """
    payload = reason = None
    try:
        payload = _payload_on(config, route, capture, source)
    except ConfigError as error:
        reason = "; ".join(problem.message for problem in error.problems)
    except (EnvelopeError, RecipientError, RenderError) as error:
        reason = str(error)
    return Preview(
        where=route.template,
        status=EventStatus.STORED if reason is None else "held",
        reason=reason,
        route=route.name,
        endpoint=route.endpoint,
        payload=payload,
    )


def _payload_on(
    config: Config, route: Route, capture: Capture, source: str | None
) -> bytes:
    edited = None if source is None else {route.template: source}
    templates = Templates(config.templates, [route.template], edited)
    parsed = voucherify.parse(capture)
    planned = routing.plan(parsed, [replace(route, when=Condition())])
    if not planned:
        raise EnvelopeError(parsed.problem or "the webhook brings no reward")
    reward = planned[0].reward
    return templates.render(
        route,
        endpoint=route.endpoint,
        parsed=parsed,
        reward=reward,
        recipient=identity.recipient(reward, route.recipient),
        delivery_id=DELIVERY_ID,
    ).body
