"""Intake: one verified webhook becomes one stored event with its deliveries.

The same for requests, `replay` and `--reprocess`. Deciding is pure; the store commits
what was decided and has the last word on duplicates.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from bridge import logging as logs
from bridge import metrics, routing
from bridge.config import Config
from bridge.errors import RecipientError
from bridge.integrations import Destination, Source
from bridge.model import (
    Capture,
    EventStatus,
    IngestResult,
    NewDelivery,
    NewEvent,
    ParsedWebhook,
)
from bridge.recipients import recipient_of
from bridge.routing import Planned
from bridge.store import new_id

log = logs.get(__name__)

#: Seconds within which a webhook is stored or answered 503; Voucherify waits ten.
STORE_TIMEOUT = 4.0
#: Every attempt reads the whole event again: with more messages than this, one event
#: would hold up all others.
MAX_MESSAGES = 500
#: Longest campaign name kept with a delivery, in characters.
MAX_CAMPAIGN = 255


class Pending(Protocol):
    """A webhook on its way into a transaction."""

    def wait(self) -> IngestResult:
        """Return when it is on disk; raise `StoreUnavailable` if it is not in time."""
        ...


#: Queues a decided event, with the id of the stored event it decides again or None, for
#: the next transaction; it counts as not stored after so many seconds.
Submit = Callable[[tuple[NewEvent, str | None], float], Pending]


class Intake:
    """Decides what webhooks become, and stores them.

    Args:
        config: For the routes.
        sources: By name, those that `Capture.source` may name.
        destinations: By name; they judge recipients.
        submit: `GroupCommit.submit` of `store.ingest`.
    """

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, Source],
        destinations: Mapping[str, Destination],
        submit: Submit,
    ) -> None:
        self._routes = config.routes
        self._sources = sources
        self._destinations = destinations
        self._submit = submit

    def receive(
        self,
        capture: Capture,
        *,
        timeout: float = STORE_TIMEOUT,
        reprocess_event_id: str | None = None,
        request_id: str | None = None,
    ) -> IngestResult:
        """Store a verified webhook; it is on disk when this returns.

        Webhooks that are received at the same time share a transaction.

        Args:
            capture: The webhook, its sender authenticated.
            timeout: Seconds until it counts as not stored.
            reprocess_event_id: Id of the stored event that is decided again.
            request_id: Of the HTTP request, for the log.

        Raises:
            StoreUnavailable: Nothing was kept.
        """
        event = self.decide(capture)
        pending = self._submit((event, reprocess_event_id), timeout)
        # Other requests that have arrived reach this line too, and share the commit.
        time.sleep(0)
        result = pending.wait()
        _report(event, result, request_id)
        return result

    def decide(self, capture: Capture) -> NewEvent:
        """Decide what a webhook becomes, whatever is in it."""
        source = self._sources[capture.source]
        parsed = _parse(source, capture)
        event = NewEvent(
            id=new_id(),
            capture=capture,
            transport_key=parsed.transport_key,
            is_hashed=parsed.is_hashed,
            kind=parsed.kind,
            event_type=parsed.event_type,
            status=EventStatus.PARKED,
            reason=_problem(parsed),
        )
        if event.reason is not None:
            return event
        planned = routing.plan(parsed, self._routes, source, capture=capture)
        if not planned:
            reason = routing.unmatched_reason(parsed, self._routes, capture=capture)
            return replace(event, status=EventStatus.IGNORED, reason=reason)
        partial = next((plan for plan in planned if plan.is_partial), None)
        if partial is not None:
            return _park_partial(event, partial)
        return self._with_deliveries(event, planned)

    def _with_deliveries(self, event: NewEvent, planned: Sequence[Planned]) -> NewEvent:
        deliveries, problems = [], []
        for plan in planned:
            recipient = ""
            try:
                recipient = self._recipient(plan)
            except RecipientError as error:
                problems.append(error.reason)
            # Without a recipient beside others that have one: its attempt will hold it.
            deliveries.append(_delivery(event.capture, plan, recipient))
        if len(problems) == len(planned):
            return replace(event, reason=problems[0])
        return replace(
            event, status=EventStatus.STORED, reason=None, deliveries=tuple(deliveries)
        )

    def _recipient(self, plan: Planned) -> str:
        check = self._destinations[plan.route.destination].check_recipient
        rules = plan.route.recipient
        return recipient_of(plan.message.customer, rules, check=check).name


def _parse(source: Source, capture: Capture) -> ParsedWebhook:
    """Read a webhook; one that its source fails on is kept, to be read again later."""
    try:
        return source.parse(capture)
    except Exception as error:
        log.exception("event.unreadable", source=capture.source)
        digest = hashlib.sha256(f"{capture.endpoint}\n".encode() + capture.body)
        return ParsedWebhook(
            transport_key=f"sha256:{digest.hexdigest()}",
            is_hashed=True,
            kind="unknown",
            event_type=None,
            problem=f"{capture.source} failed to read it ({type(error).__name__}); "
            "the log has the details",
        )


def _problem(parsed: ParsedWebhook) -> str | None:
    if parsed.problem is None and len(parsed.messages) > MAX_MESSAGES:
        return f"{len(parsed.messages)} messages in one webhook; at most {MAX_MESSAGES}"
    return parsed.problem


def _park_partial(event: NewEvent, plan: Planned) -> NewEvent:
    """Park an event that shows only a part of what one message must list."""
    message = plan.message
    size = message.group.size if message.group is not None else 0
    return replace(
        event,
        reason=f"{size} vouchers, {len(message.codes)} shown; "
        "subscribe to publication.succeeded",
        waits_for=message.key,
        # The keys of its vouchers, not the short-lived ones of their codes.
        already_covered_by=tuple(
            (name, key)
            for name in plan.route.names
            for key, ttl in message.alias_keys
            if ttl == message.key_ttl
        ),
    )


def _delivery(capture: Capture, plan: Planned, recipient: str) -> NewDelivery:
    route, message = plan.route, plan.message
    return NewDelivery(
        id=new_id(),
        route=route.name,
        route_names=route.names,
        destination=route.destination,
        endpoint=routing.endpoint_of(capture, route),
        key=message.key,
        keys=((message.key, message.key_ttl), *message.alias_keys),
        recipient=recipient,
        customer_id=message.customer.id,
        codes=message.codes,
        campaign=message.campaigns[0][:MAX_CAMPAIGN] if message.campaigns else None,
        expires_at=message.expires_at,
        limit=route.limit_per_customer,
    )


def _report(event: NewEvent, result: IngestResult, request_id: str | None) -> None:
    """Count and log a webhook, now that it is committed."""
    source = event.capture.source
    metrics.record_event(source, event.kind, result.status)
    write = log.warning if result.status is EventStatus.PARKED else log.info
    write(
        "event.received",
        event_id=result.event_id,
        source=source,
        status=result.status.value,
        deliveries=list(result.deliveries),
        reason=result.reason,
        request_id=request_id,
    )
    for delivery_id in result.held:
        reason = "limit_per_customer is reached"
        log.warning("delivery.held", delivery_id=delivery_id, reason=reason)
