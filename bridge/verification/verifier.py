"""One check: the ledger's evidence, Iterable's answer, and a conclusion."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bridge.accounting import conclude, window
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.iterable import Client, SentMessages
from bridge.model import Cause, Claim
from bridge.store import Doubt, Sibling, Store
from bridge.verification.checks import Checked, Conclusion
from bridge.verification.evidence import Case, Evidence, NotYet, Undecidable, Untold

#: Unknown outcomes after which a delivery is not sent again by itself.
MAX_DOUBTS = 5
#: How far before a doubt to look for other sends to the person.
LOOK_BACK = timedelta(hours=1)
#: Longest wait between two checks that fail.
MAX_WAIT = timedelta(minutes=5)
#: Clocks that differ by more make the question be asked again, by Iterable's.
TOLERANCE = timedelta(seconds=5)


class Verifier:
    """Makes checks; safe to use from several threads.

    Args:
        config: For its routes and limits.
        store: What the ledger knows.
        client: Iterable.
        render: Shows what an attempt would send; None where it would send nothing.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        client: Client,
        render: Callable[[Claim], bytes | None],
    ) -> None:
        self._config = config
        self._store = store
        self._client = client
        self._render = render
        self._after = config.iterable.verify.after
        #: How far Iterable's clock was ahead of this one at the last answer.
        self._ahead = timedelta(0)

    def check(self, doubt: Doubt) -> Checked:
        """Find out what became of a delivery, and of all that cannot be told from it.

        Nothing is written; that is the coordinator's.
        """
        try:
            evidence, since = self._evidence(doubt, doubt.since - LOOK_BACK)
            case = evidence.case(doubt)
            if case.begin - LOOK_BACK < since:
                evidence, since = self._evidence(doubt, case.begin - LOOK_BACK)
                case = evidence.case(doubt)
        except StoreUnavailable:
            return Checked(doubt=doubt, delay=self._after)
        except NotYet as error:
            return Checked(doubt=doubt, delay=error.delay)
        except Undecidable as error:
            return _alone(doubt, Cause.CHECK_UNDECIDABLE, f"sent perhaps; {error}")
        except Untold as error:
            delay, cause = max(self._after, MAX_WAIT), Cause.CHECK_FAILED
            if self._is_too_old(doubt.aging_since, evidence.now):
                cause = Cause.POLICY_HOLD
            return _alone(doubt, cause, f"sent perhaps; {error}", delay)
        return self._settle(doubt, case, evidence.now, since)

    def _evidence(self, doubt: Doubt, since: datetime) -> tuple[Evidence, datetime]:
        with self._store.read() as tx:
            found = self._store.queue.siblings(tx, doubt.recipient, since)
            claims = {
                one.delivery_id: self._store.queue.as_claim(tx, one.delivery_id)
                for one in found
                if any(call.payload is None for call in one.calls)
            }
        evidence = Evidence(
            siblings=found,
            rendered=lambda one: self._rendered(claims.get(one)),
            is_checked=self._is_checked,
            after=self._after,
            now=tx.now,
        )
        return evidence, since

    def _rendered(self, claim: Claim | None) -> bytes | None:
        return None if claim is None else self._render(claim)

    def _is_checked(self, name: str) -> bool:
        route = self._config.route(name)
        return route is not None and route.in_doubt == "verify"

    def _settle(
        self, doubt: Doubt, case: Case, now: datetime, looked: datetime
    ) -> Checked:
        since = window(case.begin, case.sends, self._after)
        if since < looked:
            reason = "sent perhaps; too much was sent to this person to tell"
            return _alone(doubt, Cause.CHECK_UNDECIDABLE, reason)
        sent = self._ask(case, since, now)
        if sent.count is None:
            reason = f"checked in vain: {sent.outcome.reason}"
            cause, pause = Cause.CHECK_FAILED, sent.outcome.retry_after
        else:
            cause, reason = conclude(sent.count, len(case.group), case.sends, since)
            pause = None
        conclusions = (self._conclusion(one, cause, reason, now) for one in case.group)
        return Checked(doubt=doubt, conclusions=tuple(conclusions), pause=pause)

    def _ask(self, case: Case, since: datetime, now: datetime) -> SentMessages:
        """Ask by Iterable's clock, which the answer tells."""
        asked = since + self._ahead
        sent = self._client.sent_messages(case.person, case.campaign_ids, asked)
        if sent.server_time is None or sent.count is None:
            return sent
        self._ahead, before = sent.server_time - now, self._ahead
        if abs(self._ahead - before) <= TOLERANCE:
            return sent
        asked = since + self._ahead
        return self._client.sent_messages(case.person, case.campaign_ids, asked)

    def _conclusion(
        self, one: Sibling, cause: Cause, reason: str, now: datetime
    ) -> Conclusion:
        """Apply what was found out to one delivery, within its limits."""
        delay: timedelta | None = None
        if cause is Cause.CHECK_NOT_FOUND:
            if one.doubts >= MAX_DOUBTS:
                cause = Cause.POLICY_HOLD
                reason = f"{reason}, after {one.doubts} attempts of unknown outcome"
            else:
                # An outage that goes on shall not use up the attempts.
                delay = self._after * (2 ** (one.doubts - 1) - 1)
        elif cause is Cause.CHECK_FAILED:
            if self._is_too_old(one.aging_since, now):
                cause, reason = Cause.POLICY_HOLD, f"sent perhaps; {reason}"
            else:
                passed = now - one.calls[-1].started_at
                delay = max(self._after, min(passed / 2, MAX_WAIT))
        return Conclusion(
            delivery_id=one.delivery_id,
            number=one.number,
            cause=cause,
            delay=delay,
            reason=reason,
        )

    def _is_too_old(self, aging_since: datetime, now: datetime) -> bool:
        return now - aging_since >= self._config.retry.max_age


def _alone(
    doubt: Doubt, cause: Cause, reason: str, delay: timedelta | None = None
) -> Checked:
    """Conclude about one delivery without asking Iterable."""
    conclusion = Conclusion(
        delivery_id=doubt.delivery_id,
        number=doubt.number,
        cause=cause,
        delay=delay,
        reason=reason,
    )
    return Checked(doubt=doubt, conclusions=(conclusion,))
