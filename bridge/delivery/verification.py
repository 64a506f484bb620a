"""Checks of unknown outcomes: the evidence, the question, and the conclusion.

While anything is in doubt, other messages for the same person and campaign wait, so
what is counted cannot change before the result is written.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bridge.config import Config
from bridge.delivery.evidence import (
    Comparison,
    Evidence,
    RetryLater,
    Undecidable,
    UnknownPayload,
    compare_counts,
    query_start,
)
from bridge.delivery.tasks import CheckResult, Resolution
from bridge.errors import StoreUnavailable
from bridge.integrations import Destination, SentCount, Verification
from bridge.model import Claim, InDoubtDelivery, Trigger
from bridge.store import Store, in_doubt, queue
from bridge.store.in_doubt import RecipientDelivery

#: Unknown outcomes after which a delivery is not sent again by itself.
MAX_UNKNOWN_OUTCOMES = 5
#: How far before an unknown outcome to look for other sends to the person.
LOOK_BACK = timedelta(hours=1)
#: Longest wait between two checks that fail.
MAX_WAIT = timedelta(minutes=5)
#: Clocks that differ by more make the question be asked again, by the destination's.
TOLERANCE = timedelta(seconds=5)


class Verifier:
    """Makes checks; nothing is written, that is the scheduler's.

    Args:
        config: For its routes and limits.
        store: What the ledger knows.
        destinations: By name.
        preview: Renders what an attempt would send; None where it would send nothing.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        destinations: Mapping[str, Destination],
        preview: Callable[[Claim], bytes | None],
    ) -> None:
        self._config = config
        self._store = store
        self._destinations = destinations
        self._preview = preview
        #: By destination: how far its clock was ahead of this one at the last answer.
        self._ahead: dict[str, timedelta] = {}

    def check(self, delivery: InDoubtDelivery) -> CheckResult:
        """Find out what became of a delivery, and of those like it."""
        destination = self._destinations.get(delivery.destination)
        if destination is None or destination.verification is None:
            reason = "perhaps sent; its destination cannot be asked"
            return _alone(delivery, Trigger.CHECK_UNDECIDABLE, reason)
        after = destination.config.verify.after
        evidence = None
        try:
            since = delivery.since - LOOK_BACK
            evidence = self._evidence(delivery, since, destination)
            found = evidence.comparison(delivery)
            if found.began_at - LOOK_BACK < since:
                since = found.began_at - LOOK_BACK
                evidence = self._evidence(delivery, since, destination)
                found = evidence.comparison(delivery)
        except StoreUnavailable:
            return CheckResult(delivery=delivery, delay=after)
        except RetryLater as error:
            return CheckResult(delivery=delivery, delay=error.delay)
        except Undecidable as error:
            reason = f"perhaps sent; {error}"
            return _alone(delivery, Trigger.CHECK_UNDECIDABLE, reason)
        except UnknownPayload as error:
            is_over = evidence is not None and self._is_too_old(
                delivery.age_started_at, evidence.now
            )
            trigger = Trigger.POLICY_HOLD if is_over else Trigger.CHECK_FAILED
            return _alone(
                delivery, trigger, f"perhaps sent; {error}", max(after, MAX_WAIT)
            )
        return self._conclude(delivery, found, evidence.now, since)

    def _evidence(
        self, delivery: InDoubtDelivery, since: datetime, destination: Destination
    ) -> Evidence:
        with self._store.read() as tx:
            history = [
                one
                for one in in_doubt.recipient_history(tx, delivery.recipient, since)
                if one.destination == delivery.destination
            ]
            claims = {
                one.delivery_id: queue.preview_claim(tx, one.delivery_id)
                for one in history
                if any(call.payload is None for call in one.attempts)
            }
        assert destination.verification is not None  # noqa: S101 - asked by `check`
        return Evidence(
            history=history,
            target_of=destination.verification.target_of,
            preview=lambda one: self._previewed(claims.get(one)),
            is_checked=self._is_checked,
            after=destination.config.verify.after,
            now=tx.now,
        )

    def _previewed(self, claim: Claim | None) -> bytes | None:
        return None if claim is None else self._preview(claim)

    def _is_checked(self, name: str) -> bool:
        route = self._config.route(name)
        return route is not None and route.on_unknown_outcome == "verify"

    def _conclude(
        self,
        delivery: InDoubtDelivery,
        found: Comparison,
        now: datetime,
        looked_since: datetime,
    ) -> CheckResult:
        destination = self._destinations[delivery.destination]
        verification, after = destination.verification, destination.config.verify.after
        since = query_start(found.began_at, found.sends, after)
        if since < looked_since or verification is None:
            reason = "perhaps sent; too much was sent to this person to tell"
            return _alone(delivery, Trigger.CHECK_UNDECIDABLE, reason)
        sent = self._ask(delivery.destination, verification, found, since, now=now)
        pause = None
        if sent.count is None:
            reason = f"checked, without a result: {sent.outcome.reason}"
            trigger, pause = Trigger.CHECK_FAILED, sent.outcome.retry_after
        else:
            trigger, reason = compare_counts(
                sent.count, len(found.group), found.sends, since
            )
        return CheckResult(
            delivery=delivery,
            resolutions=tuple(
                self._resolution(one, trigger, reason, now=now, after=after)
                for one in found.group
            ),
            pause=pause,
        )

    def _ask(
        self,
        name: str,
        verification: Verification,
        found: Comparison,
        since: datetime,
        *,
        now: datetime,
    ) -> SentCount:
        """Ask by the destination's clock, which its answer tells."""
        before = self._ahead.get(name, timedelta(0))
        asked = found.person, found.campaign_ids
        sent = verification.sent_messages(*asked, since + before)
        if sent.server_time is None or sent.count is None:
            return sent
        ahead = self._ahead[name] = sent.server_time - now
        if abs(ahead - before) <= TOLERANCE:
            return sent
        return verification.sent_messages(*asked, since + ahead)

    def _resolution(
        self,
        one: RecipientDelivery,
        trigger: Trigger,
        reason: str,
        *,
        now: datetime,
        after: timedelta,
    ) -> Resolution:
        """Apply what was found out to one delivery, within its limits."""
        delay: timedelta | None = None
        if trigger is Trigger.CHECK_NOT_FOUND:
            if one.unknown_outcomes >= MAX_UNKNOWN_OUTCOMES:
                trigger = Trigger.POLICY_HOLD
                reason = f"{reason}, after {one.unknown_outcomes} unknown outcomes"
            else:
                # An outage that goes on must not use up the attempts.
                delay = after * (2 ** (one.unknown_outcomes - 1) - 1)
        elif trigger is Trigger.CHECK_FAILED:
            if self._is_too_old(one.age_started_at, now):
                trigger, reason = Trigger.POLICY_HOLD, f"perhaps sent; {reason}"
            else:
                passed = now - one.attempts[-1].started_at
                delay = max(after, min(passed / 2, MAX_WAIT))
        return Resolution(
            delivery_id=one.delivery_id,
            attempt_no=one.attempt_no,
            trigger=trigger,
            delay=delay,
            reason=reason,
        )

    def _is_too_old(self, age_started_at: datetime, now: datetime) -> bool:
        return now - age_started_at >= self._config.retry.max_age


def _alone(
    delivery: InDoubtDelivery,
    trigger: Trigger,
    reason: str,
    delay: timedelta | None = None,
) -> CheckResult:
    """Conclude about one delivery without asking its destination."""
    resolution = Resolution(
        delivery_id=delivery.delivery_id,
        attempt_no=delivery.attempt_no,
        trigger=trigger,
        delay=delay,
        reason=reason,
    )
    return CheckResult(delivery=delivery, resolutions=(resolution,))
