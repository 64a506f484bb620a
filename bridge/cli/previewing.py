"""What would be sent for a captured webhook, made as an attempt would make it."""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge import identity, voucherify
from bridge.capture import Found
from bridge.config import Config
from bridge.errors import RecipientError, RenderError
from bridge.intake import Intake
from bridge.model import EventStatus, NewDelivery
from bridge.rendering import Templates

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
