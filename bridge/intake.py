"""One webhook to one stored event.

The deciding part is pure; the store commits what was decided and has the last word on
duplicates.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from bridge import identity, routing, voucherify
from bridge.config import Route
from bridge.errors import RecipientError
from bridge.model import (
    Arrival,
    Capture,
    EventStatus,
    NewDelivery,
    Reward,
    Stored,
)
from bridge.routing import Planned

#: Seconds within which a webhook is stored or refused; Voucherify waits ten.
STORE_TIMEOUT = 4.0


class Pending(Protocol):
    """A webhook on its way to the disk."""

    def wait(self) -> Stored:
        """Return when it is there, or raise `StoreUnavailable`."""
        ...


class Enlist(Protocol):
    """Queues an arrival for the next transaction."""

    def __call__(
        self, arrival: Arrival, *, timeout: float, again: str | None
    ) -> Pending:
        """Queue it; it counts as not stored after `timeout` seconds."""
        ...


class Intake:
    """The way in, the same for doors and for replays.

    Args:
        routes: The configured routes, in order.
        enlist: Stores what was decided.
        new_id: Makes sortable ids.
    """

    def __init__(
        self, routes: Sequence[Route], enlist: Enlist, new_id: Callable[[], str]
    ) -> None:
        self._routes = routes
        self._enlist = enlist
        self._new_id = new_id

    def receive(self, capture: Capture, *, again: str | None = None) -> Stored:
        """Store a proven webhook; what it says is on disk when this returns.

        Args:
            capture: The webhook, its sender already proven.
            again: Id of the stored event that is to be decided again.

        Raises:
            StoreUnavailable: Nothing was kept.
        """
        return self.begin(capture, timeout=STORE_TIMEOUT, again=again).wait()

    def begin(
        self, capture: Capture, *, timeout: float, again: str | None = None
    ) -> Pending:
        """Decide on a proven webhook and queue it, so that several share a commit.

        Args:
            capture: The webhook, its sender already proven.
            timeout: Seconds until it counts as not stored.
            again: Id of the stored event that is to be decided again.
        """
        return self._enlist(self.decide(capture), timeout=timeout, again=again)

    def decide(self, capture: Capture) -> Arrival:
        """Decide what a webhook becomes, whatever is in it."""
        parsed = voucherify.parse(capture)
        arrival = Arrival(
            id=self._new_id(),
            capture=capture,
            transport_key=parsed.transport_key,
            is_hashed=parsed.is_hashed,
            kind=parsed.kind,
            event_type=parsed.event_type,
            status=EventStatus.PARKED,
            reason=parsed.problem,
        )
        if parsed.problem is not None:
            return arrival
        planned = routing.plan(parsed, self._routes, door=capture.door)
        if not planned:
            reason = f"no route wants {parsed.event_type or 'this raw body'}"
            return replace(arrival, status=EventStatus.IGNORED, reason=reason)
        partial = next((plan for plan in planned if plan.is_partial), None)
        if partial is not None:
            return _wait_for_whole(arrival, partial)
        return self._deliverable(arrival, planned)

    def _deliverable(self, arrival: Arrival, planned: Sequence[Planned]) -> Arrival:
        deliveries, problems = [], []
        for plan in planned:
            recipient = ""
            try:
                recipient = identity.recipient(plan.reward, plan.route.recipient).name
            except RecipientError as error:
                problems.append(error.reason)
            # One that has none beside others that have: its attempt will hold it.
            deliveries.append(self._delivery(arrival.capture, plan, recipient))
        if len(problems) == len(planned):
            return replace(arrival, reason=problems[0])
        return replace(
            arrival,
            status=EventStatus.STORED,
            reason=None,
            deliveries=tuple(deliveries),
        )

    def _delivery(self, capture: Capture, plan: Planned, recipient: str) -> NewDelivery:
        route, reward = plan.route, plan.reward
        return NewDelivery(
            id=self._new_id(),
            route=route.name,
            route_names=route.names,
            endpoint=routing.endpoint_of(capture, route),
            key=reward.key,
            keys=voucherify.keys_of(reward),
            recipient=recipient,
            customer_id=reward.customer_id,
            codes=reward.codes,
            campaign=_campaign(reward),
            voucher_expires_at=_expiry(reward),
            limit=route.per_customer,
        )


def _wait_for_whole(arrival: Arrival, plan: Planned) -> Arrival:
    """Park an event that shows a part of what one message shall list."""
    reward = plan.reward
    return replace(
        arrival,
        reason=f"{reward.published} vouchers, {len(reward.vouchers)} shown; "
        "subscribe to publication.succeeded",
        waits_for=reward.key,
        covered_by=tuple(
            (name, key) for name in plan.route.names for key in reward.also
        ),
    )


def _campaign(reward: Reward) -> str | None:
    """Name the campaign for the ledger: the handed-over voucher's, else the event's."""
    names = [voucher.get("campaign") for voucher in reward.vouchers]
    names.append(reward.campaign.get("name"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _expiry(reward: Reward) -> datetime | None:
    """Find when the first voucher expires; unreadable dates count as none."""
    found = []
    for voucher in reward.vouchers:
        text = voucher.get("expiration_date")
        if not isinstance(text, str):
            continue
        # A published example has blanks inside a timestamp.
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(text.replace(" ", ""))
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found.append(aware.astimezone(UTC))
    return min(found, default=None)
