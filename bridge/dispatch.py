"""One attempt at one delivery: prepare a payload, send it, say what became of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from bridge import identity, retry, voucherify
from bridge.config import Config
from bridge.errors import RecipientError, RenderError
from bridge.http import Begun
from bridge.iterable import Client
from bridge.model import (
    Attempt,
    Blame,
    Cause,
    Claim,
    Classification,
    Outcome,
    Settlement,
)
from bridge.rendering import Payload, Templates
from bridge.retry import Decision

BAD_REQUEST = 400
#: Why nothing can be made of a delivery whose event is no longer kept.
BLANKED = "its webhook is no longer kept (retention, or `forget`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one claim came to, and what it means for the gates."""

    claim: Claim
    settlement: Settlement
    outcome: Outcome | None = None
    #: Which gate a configuration error closes.
    closes: Blame | None = None
    #: How long everybody shall wait (429).
    pause: timedelta | None = None
    #: The closed gate this delivery was let through to learn whether it may open.
    probes: str | None = None
    #: Keys that Iterable does not know, left out of the payload.
    dropped: int = 0


class _Started(NamedTuple):
    """When an attempt started, on both clocks."""

    at: datetime
    monotonic: float


class Sending(NamedTuple):
    """A send that is begun."""

    claim: Claim
    payload: Payload
    call: Begun
    started: _Started


class Dispatch:
    """Makes attempts; holds no state between two of them.

    Args:
        config: For its routes and limits.
        templates: The compiled templates.
        client: Iterable.
        rng: For jitter.
        now: The clock of attempts' start times, aware and UTC.
    """

    def __init__(
        self,
        config: Config,
        templates: Templates,
        client: Client,
        rng: Random,
        now: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._templates = templates
        self._client = client
        self._rng = rng
        self._now = now

    def prepare(self, claim: Claim) -> Payload | Result:
        """Render the payload, unless its voucher is worth nothing any more."""
        route = self._config.route(claim.route)
        expiry = claim.voucher_expires_at
        if route is not None and expiry is not None:
            left = expiry - self._now()
            if left <= route.not_within:
                return _result(claim, Cause.GIVEN_UP, _worthless(left))
        return self.render(claim)

    def render(self, claim: Claim) -> Payload | Result:
        """Render the payload, or hold the delivery with the reason.

        Everything is decided with today's configuration and template, so that a fix
        reaches what was stored before it.
        """
        route = self._config.route(claim.route)
        if route is None:
            return unusable(claim, f"route {claim.route} is no longer configured")
        if not claim.capture.body:
            return unusable(claim, BLANKED)
        parsed = voucherify.parse(claim.capture)
        reward = voucherify.find_reward(parsed, claim.key)
        if reward is None:
            return unusable(claim, "its event no longer shows the reward")
        try:
            return self._templates.render(
                route,
                endpoint=claim.endpoint,
                parsed=parsed,
                reward=reward,
                recipient=identity.recipient(reward, route.recipient),
                delivery_id=claim.delivery_id,
            )
        except (RecipientError, RenderError) as error:
            return unusable(claim, str(error))

    def probe(self, campaign_id: int | None) -> Outcome:
        """Ask Iterable, at little cost, whether key and campaign are good."""
        return self._client.probe(campaign_id)

    def send(self, claim: Claim, payload: Payload) -> Result:
        """Post the payload once and settle by what came back."""
        started = _Started(self._now(), time.monotonic())
        outcome = self._client.send(claim.endpoint, payload.body)
        return self._settled(claim, payload, started, outcome)

    def begin(self, claim: Claim, payload: Payload) -> Sending | None:
        """Begin to post the payload, without waiting for anything.

        Returns:
            What `finish` takes; None where only `send` can post it.
        """
        started = _Started(self._now(), time.monotonic())
        call = self._client.begin(claim.endpoint, payload.body)
        return None if call is None else Sending(claim, payload, call, started)

    def finish(self, sending: Sending) -> Result:
        """Wait for the answer, and settle by it as `send` does."""
        claim = sending.claim
        outcome = self._client.finish(claim.endpoint, sending.call)
        return self._settled(claim, sending.payload, sending.started, outcome)

    def _settled(
        self, claim: Claim, payload: Payload, started: _Started, outcome: Outcome
    ) -> Result:
        """Decide what follows an attempt that is just over."""
        duration = timedelta(seconds=time.monotonic() - started.monotonic)
        attempt = Attempt(
            number=claim.number,
            started_at=started.at,
            duration=duration,
            outcome="unknown" if outcome.is_unknown else outcome.classification,
            status=outcome.status,
            code=outcome.code,
            reason=outcome.reason,
            request_id=outcome.request_id,
            payload=payload.body,
        )
        decision = retry.decide(
            outcome,
            claim,
            now=started.at + duration,
            limits=self._config.retry,
            rng=self._rng,
        )
        closes = outcome.blame if decision.cause is Cause.GATE_CLOSED else None
        cause = decision.cause
        if closes is Blame.ROUTE and _is_own_campaign(outcome, payload):
            # The body named the campaign: its neighbours may name better ones.
            closes, cause = None, Cause.UNUSABLE
        return Result(
            claim=claim,
            settlement=Settlement(
                delivery_id=claim.delivery_id,
                token=claim.token,
                cause=cause,
                reason=decision.reason,
                delay=decision.delay,
                attempt=attempt,
                is_counted=closes is None,
                scheduled_message_id=outcome.scheduled_message_id,
            ),
            outcome=outcome,
            closes=closes,
            pause=_pause(outcome, decision),
            dropped=payload.dropped,
        )


def _worthless(left: timedelta) -> str:
    if left <= timedelta(0):
        return "not sent: its voucher has expired"
    hours = left.total_seconds() / 3600
    return f"not sent: its voucher expires in {hours:.1f} hours"


def _pause(outcome: Outcome, decision: Decision) -> timedelta | None:
    """Say how long everybody shall wait, this delivery having ended or not."""
    if not outcome.pauses_destination:
        return None
    return decision.delay or outcome.retry_after


def _is_own_campaign(outcome: Outcome, payload: Payload) -> bool:
    return payload.names_campaign and outcome.status == BAD_REQUEST


def unusable(claim: Claim, reason: str) -> Result:
    """Hold a delivery that cannot be sent as things are."""
    return _result(claim, Cause.UNUSABLE, reason)


def unsent(
    claim: Claim, *, delay: timedelta | None = None, reason: str | None = None
) -> Result:
    """Give a delivery back untouched; it stays first in its lane."""
    return _result(claim, Cause.UNSENT, reason, delay=delay)


def failed(claim: Claim, error: Exception, *, delay: timedelta) -> Result:
    """Put off a delivery over which the program itself stumbled before sending."""
    reason = f"the bridge failed on it: {type(error).__name__}"
    return _result(claim, Cause.NOT_PROCESSED, reason, delay=delay)


def abandoned(claim: Claim, *, payload: bytes, reason: str) -> Result:
    """Settle a call of which nobody will learn the outcome."""
    return Result(
        claim=claim,
        settlement=Settlement(
            delivery_id=claim.delivery_id,
            token=claim.token,
            cause=Cause.OUTCOME_UNKNOWN,
            reason=reason,
            attempt=Attempt(
                number=claim.number,
                started_at=claim.claimed_at,
                duration=timedelta(0),
                outcome="unknown",
                status=None,
                code=None,
                reason=reason,
                request_id=None,
                payload=payload,
            ),
        ),
    )


def _result(
    claim: Claim, cause: Cause, reason: str | None, *, delay: timedelta | None = None
) -> Result:
    return Result(
        claim=claim,
        settlement=Settlement(
            delivery_id=claim.delivery_id,
            token=claim.token,
            cause=cause,
            reason=reason,
            delay=delay,
            is_counted=cause is not Cause.UNSENT,
        ),
    )


def tells_of_outage(result: Result) -> bool:
    """Tell whether a send had no answer, or one that leaves its outcome unknown."""
    outcome = result.outcome
    is_unanswered = outcome is not None and outcome.status is None
    return is_unanswered or result.settlement.cause is Cause.OUTCOME_UNKNOWN


def is_success(result: Result) -> bool:
    """Tell whether Iterable took the message, which proves key and campaign."""
    outcome = result.outcome
    return outcome is not None and outcome.classification in (
        Classification.SUCCESS,
        Classification.SUCCESS_LIKE,
    )
