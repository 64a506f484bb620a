"""One attempt at one delivery: prepare a payload, send it, decide what follows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from weakref import WeakValueDictionary

from bridge import retry
from bridge.config import Config, Route
from bridge.delivery.tasks import SendResult
from bridge.errors import RecipientError, RenderError
from bridge.integrations import Destination, Source
from bridge.model import (
    Attempt,
    AttemptResult,
    Claim,
    FailureScope,
    Message,
    Outcome,
    ParsedWebhook,
    Trigger,
)
from bridge.recipients import recipient_of
from bridge.rendering import Payload, Templates
from bridge.retry import Decision

_BAD_REQUEST = 400
#: Why nothing can be made of a delivery whose event is no longer kept.
REDACTED = "its webhook is no longer kept (retention, or `forget`)"


class Attempts:
    """Makes attempts.

    Args:
        config: For its routes and limits.
        templates: The compiled templates.
        sources: By name; they read the webhooks again.
        destinations: By name.
        rng: For jitter.
        now: The clock of attempts' start times, UTC.
    """

    def __init__(
        self,
        config: Config,
        templates: Templates,
        *,
        sources: Mapping[str, Source],
        destinations: Mapping[str, Destination],
        rng: Random,
        now: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._templates = templates
        self._sources = sources
        self._destinations = destinations
        self._rng = rng
        self._now = now
        self._events: WeakValueDictionary[str, SharedEvent] = WeakValueDictionary()

    def share(self, claim: Claim) -> "SharedEvent":
        """Return what is read of the claim's event, once for all that hold it.

        A webhook may ask for thousands of messages, and reading it takes as long as
        hundreds of sends.
        """
        event = self._events.get(claim.event_id)
        if event is None:
            event = self._events[claim.event_id] = SharedEvent()
        return event

    def prepare(
        self, claim: Claim, event: "SharedEvent | None" = None
    ) -> Payload | SendResult:
        """Render the payload, unless its voucher is worth too little by now."""
        route = self._config.route(claim.route)
        if route is not None and claim.expires_at is not None:
            left = claim.expires_at - self._now()
            if left <= route.min_validity:
                return _unsendable(claim, Trigger.GIVEN_UP, _expired(left))
        return self.render(claim, event)

    def render(
        self, claim: Claim, event: "SharedEvent | None" = None
    ) -> Payload | SendResult:
        """Render the payload, or hold the delivery with the reason.

        Everything is decided with today's configuration and template, so that a fix
        reaches what was stored before it.
        """
        route = self._config.route(claim.route)
        if route is None:
            return unusable(claim, f"route {claim.route} is no longer configured")
        if not claim.capture.body:
            return unusable(claim, REDACTED)
        source = self._sources.get(claim.capture.source)
        if source is None:
            reason = f"source {claim.capture.source} is no longer configured"
            return unusable(claim, reason)
        event = SharedEvent() if event is None else event
        message = event.find(source, claim)
        if message is None:
            return unusable(claim, "its event no longer shows the message")
        try:
            return self._render(claim, route, event.parse(source, claim), message)
        except (RecipientError, RenderError) as error:
            return unusable(claim, str(error))

    def _render(
        self, claim: Claim, route: Route, parsed: ParsedWebhook, message: Message
    ) -> Payload:
        destination = self._destination_of(claim)
        recipient = recipient_of(
            message.customer, route.recipient, check=destination.check_recipient
        )
        return self._templates.render(
            route,
            endpoint=claim.endpoint,
            parsed=parsed,
            message=message,
            recipient=recipient,
            delivery_id=claim.delivery_id,
            destination=destination,
        )

    def send(self, claim: Claim, payload: Payload) -> SendResult:
        """Post the payload once and decide by what came back."""
        destination = self._destination_of(claim)
        started_at, began = self._now(), time.monotonic()
        answered = destination.send(claim.endpoint, payload.body)
        duration = timedelta(seconds=time.monotonic() - began)
        outcome = answered
        if answered.is_unknown and destination.is_idempotent(claim.endpoint):
            # Sending it again does no harm, so there is nothing to find out first.
            outcome = replace(answered, is_unknown=False, max_attempts=None)
        decision = retry.decide(
            outcome,
            claim,
            now=started_at + duration,
            limits=self._config.retry,
            rng=self._rng,
        )
        attempt = Attempt(
            number=claim.attempt_no,
            started_at=started_at,
            duration=duration,
            outcome="unknown" if outcome.is_unknown else outcome.classification.value,
            status=outcome.status,
            code=outcome.code,
            reason=outcome.reason,
            request_id=outcome.request_id,
            payload=payload.body,
        )
        return _settled(
            payload,
            attempt,
            outcome,
            claim=claim,
            decision=decision,
            is_outage_signal=answered.status is None or answered.is_unknown,
        )

    def _destination_of(self, claim: Claim) -> Destination:
        """Find where today's configuration sends it, which is what the claim says."""
        configured = self._config.destination_of(claim.route)
        name = claim.destination if configured is None else configured.name
        return self._destinations[name]


class SharedEvent:
    """One event's webhook, read at first use and kept while a claim of it is held."""

    def __init__(self) -> None:
        self._parsed: ParsedWebhook | None = None
        self._messages: Mapping[str, Message] = {}

    def parse(self, source: Source, claim: Claim) -> ParsedWebhook:
        """Read the webhook."""
        if self._parsed is None:
            self._parsed = source.parse(claim.capture)
            self._messages = {one.key: one for one in self._parsed.messages}
        return self._parsed

    def find(self, source: Source, claim: Claim) -> Message | None:
        """Find the claim's message by its business key."""
        parsed = self.parse(source, claim)
        return self._messages.get(claim.key) or source.find(parsed, claim.key)


def _settled(
    payload: Payload,
    attempt: Attempt,
    outcome: Outcome,
    *,
    claim: Claim,
    decision: Decision,
    is_outage_signal: bool,
) -> SendResult:
    """Make the result of an attempt that is just over."""
    trigger = decision.trigger
    opens = outcome.scope if trigger is Trigger.CIRCUIT_OPEN else None
    is_own_campaign = payload.names_campaign and outcome.status == _BAD_REQUEST
    if opens is FailureScope.ROUTE and is_own_campaign:
        # The body named the campaign: other messages of the route may name better ones.
        opens, trigger = None, Trigger.UNUSABLE
    pause = None
    if outcome.pauses_destination:
        # Whether this delivery goes on or not, the whole destination waits.
        pause = decision.delay or outcome.retry_after
    return SendResult(
        result=AttemptResult(
            claim=claim,
            trigger=trigger,
            reason=decision.reason,
            delay=decision.delay,
            attempt=attempt,
            is_counted=opens is None,
            message_id=outcome.message_id,
        ),
        outcome=outcome,
        opens=opens,
        pause=pause,
        dropped=payload.dropped,
        is_outage_signal=is_outage_signal,
    )


def unusable(claim: Claim, reason: str) -> SendResult:
    """Hold a delivery that cannot be sent as things are."""
    return _unsendable(claim, Trigger.UNUSABLE, reason)


def unsent(
    claim: Claim, *, delay: timedelta | None = None, reason: str | None = None
) -> SendResult:
    """Give a delivery back untouched."""
    return _unsendable(claim, Trigger.UNSENT, reason, delay=delay)


def failed(claim: Claim, error: Exception, *, delay: timedelta) -> SendResult:
    """Put off a delivery on which the program itself failed before sending."""
    reason = f"the bridge failed on it: {type(error).__name__}"
    return _unsendable(claim, Trigger.NOT_PROCESSED, reason, delay=delay)


def abandoned(claim: Claim, *, payload: bytes, reason: str) -> SendResult:
    """Settle a call whose outcome will not be known."""
    attempt = Attempt(
        number=claim.attempt_no,
        started_at=claim.claimed_at,
        duration=timedelta(0),
        outcome="unknown",
        status=None,
        code=None,
        reason=reason,
        request_id=None,
        payload=payload,
    )
    result = AttemptResult(
        claim=claim, trigger=Trigger.OUTCOME_UNKNOWN, reason=reason, attempt=attempt
    )
    return SendResult(result=result)


def _unsendable(
    claim: Claim,
    trigger: Trigger,
    reason: str | None,
    *,
    delay: timedelta | None = None,
) -> SendResult:
    is_counted = trigger is not Trigger.UNSENT
    return SendResult(
        result=AttemptResult(
            claim=claim,
            trigger=trigger,
            reason=reason,
            delay=delay,
            is_counted=is_counted,
        )
    )


def _expired(left: timedelta) -> str:
    if left <= timedelta(0):
        return "not sent: its voucher has expired"
    hours = left.total_seconds() / 3600
    return f"not sent: its voucher expires in {hours:.1f} hours"
