"""Whether a message of unknown outcome was sent, concluded by counting.

A destination shows that a person was sent something through a campaign, not what. So
what the ledger explains otherwise is taken off the count, and the rest is compared with
what is in doubt. Pure: rows in, a comparison or the reason why there is none out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.integrations import SendTarget
from bridge.model import (
    Attempt,
    Classification,
    DeliveryStatus,
    InDoubtDelivery,
    Recipient,
    Trigger,
)
from bridge.store.in_doubt import RecipientDelivery

#: How far the destination's clock may differ from this one after both were compared.
SKEW = timedelta(seconds=30)
#: Wait for a neighbour that is being sent just now.
NEIGHBOUR_WAIT = timedelta(seconds=1)

_SENT, _UNKNOWN = Classification.SUCCESS.value, "unknown"
_IN_DOUBT = DeliveryStatus.IN_DOUBT
#: States of a delivery that the destination has accepted.
_ACCEPTED = (
    DeliveryStatus.ACCEPTED,
    DeliveryStatus.CONFIRMED,
    DeliveryStatus.UNDELIVERED,
)
#: States in which it stays unknown whether an attempt went out.
_OPEN = (DeliveryStatus.HELD, DeliveryStatus.DEAD, DeliveryStatus.DROPPED, _IN_DOUBT)


class RetryLater(Exception):  # noqa: N818 - no mistake: a reason to check later
    """It is too early to ask."""

    def __init__(self, delay: timedelta) -> None:
        self.delay = delay
        super().__init__()


class Undecidable(Exception):  # noqa: N818 - no mistake: an answer
    """No question could settle it."""


class UnknownPayload(Exception):  # noqa: N818 - no mistake: it may be known later
    """What was sent cannot be reconstructed now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSend:
    """A send that the ledger explains by something else than what is in doubt."""

    started_at: datetime
    ended_at: datetime
    #: False where it may not have gone out.
    is_certain: bool
    is_scheduled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that is in doubt for one person and campaign, and what else was sent."""

    person: Recipient
    campaign_ids: frozenset[int]
    #: Deliveries in doubt.
    group: tuple[RecipientDelivery, ...]
    #: When the first send in doubt began.
    began_at: datetime
    sends: tuple[ExplainedSend, ...]


def query_start(
    began_at: datetime, sends: Iterable[ExplainedSend], lag: timedelta
) -> datetime:
    """Find the time to ask from: before the first unknown outcome, between sends.

    A send that the destination may show on either side of it would be explained or not
    by chance, so the time moves back until there is none.

    Args:
        began_at: When the first send in doubt began.
        sends: What else the ledger knows of.
        lag: How much later than the call the destination may date a message.
    """
    since = began_at - SKEW
    plain = (one for one in sends if not one.is_scheduled)
    for send in sorted(plain, key=lambda one: one.ended_at, reverse=True):
        if send.ended_at + lag + SKEW < since:
            break
        since = min(since, send.started_at - SKEW)
    return since.replace(microsecond=0)


def compare_counts(
    shown: int, in_doubt: int, sends: Sequence[ExplainedSend], since: datetime
) -> tuple[Trigger, str]:
    """Conclude what becomes of all that is in doubt for one person and campaign.

    Args:
        shown: Messages the destination shows since `since`.
        in_doubt: Deliveries in doubt.
        sends: What else the ledger knows of.
        since: See `query_start`.

    Returns:
        What was found out, and why, in plain words.
    """
    known = [one for one in sends if one.is_scheduled or one.started_at >= since]
    most = len(known)
    least = sum(one.is_certain for one in known)
    if shown < least:
        return (
            Trigger.CHECK_FAILED,
            f"checked, without a result: {shown} of {least} accepted messages shown",
        )
    if shown - most >= in_doubt:
        return Trigger.CHECK_FOUND, "checked: the destination shows the message"
    if shown == least:
        return Trigger.CHECK_NOT_FOUND, "checked: the destination shows no such message"
    span = f"{max(shown - most, 0)} to {min(shown - least, in_doubt)}"
    return (
        Trigger.CHECK_UNDECIDABLE,
        f"perhaps sent: {span} of {in_doubt} in doubt are shown; which ones is unknown",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A person's deliveries at one destination, compared for the sake of one in doubt.

    Args:
        history: The person's deliveries there, the one in doubt among them.
        target_of: Reads the person and campaign of a payload.
        preview: Renders what an attempt would send, where the ledger does not know
            what one did send.
        is_checked: Tells whether a route's unknown outcomes are checked before it
            sends again.
        after: How long the destination may take to show a message.
        now: The store's time.
    """

    history: Sequence[RecipientDelivery]
    target_of: Callable[[bytes], SendTarget | None]
    preview: Callable[[str], bytes | None]
    is_checked: Callable[[str], bool]
    after: timedelta
    now: datetime

    def comparison(self, wanted: InDoubtDelivery) -> Comparison:
        """Collect what a count is compared with.

        Raises:
            RetryLater: Something has to end first.
            Undecidable: The destination's list could not settle it.
            UnknownPayload: What was sent is not known.
        """
        own = next(
            (one for one in self.history if one.delivery_id == wanted.delivery_id), None
        )
        state = (_IN_DOUBT, wanted.attempt_no)
        if own is None or (own.status, own.attempt_no) != state:
            raise RetryLater(NEIGHBOUR_WAIT)  # it was settled meanwhile
        targets = self._targets(own)
        person = _person(targets)
        campaign_ids = frozenset(target.campaign_id for target in targets)
        group = [own, *self._others(own, person, campaign_ids)]
        self._wait_for(group)
        sends = tuple(self._sends(group, person, campaign_ids))
        self._wait_for_sends(sends)
        return Comparison(
            person=person,
            campaign_ids=campaign_ids,
            group=tuple(group),
            began_at=min(call.started_at for one in group for call in _in_doubt(one)),
            sends=sends,
        )

    def _targets(self, one: RecipientDelivery) -> list[SendTarget]:
        """Read the person and campaign of each send in doubt."""
        found = []
        for call in _in_doubt(one):
            target = self._target(call.payload) or self._target(
                self.preview(one.delivery_id)
            )
            if target is None:
                raise UnknownPayload(
                    "what was sent is not on record and cannot be rendered"
                )
            found.append(target)
        if not found:
            raise Undecidable("no attempt is on record")
        return found

    def _target(self, payload: bytes | None) -> SendTarget | None:
        return None if payload is None else self.target_of(payload)

    def _others(
        self, own: RecipientDelivery, person: Recipient, campaign_ids: frozenset[int]
    ) -> Iterator[RecipientDelivery]:
        for one in self.history:
            if one.status is not _IN_DOUBT or one.delivery_id == own.delivery_id:
                continue
            if any(
                target.person == person and target.campaign_id in campaign_ids
                for target in self._targets(one)
            ):
                yield one

    def _wait_for(self, group: Sequence[RecipientDelivery]) -> None:
        if any(one.status is DeliveryStatus.SENDING for one in self.history):
            raise RetryLater(NEIGHBOUR_WAIT)
        ready = max(one.since for one in group) + self.after
        if ready > self.now:
            raise RetryLater(ready - self.now)

    def _wait_for_sends(self, sends: Sequence[ExplainedSend]) -> None:
        ended = (one.ended_at for one in sends if not one.is_scheduled)
        ready = max(ended, default=self.now - self.after) + self.after
        # One further ahead than that was written before the clock was set back.
        if self.now < ready <= self.now + self.after:
            raise RetryLater(ready - self.now)

    def _sends(
        self,
        group: Sequence[RecipientDelivery],
        person: Recipient,
        campaign_ids: frozenset[int],
    ) -> Iterator[ExplainedSend]:
        """List what else the destination's list may show."""
        doubted = {id(call) for one in group for call in _in_doubt(one)}
        endpoint = group[0].endpoint
        calls = ((one, call) for one in self.history for call in one.attempts)
        for one, call in calls:
            target = self._target(call.payload)
            if id(call) in doubted or not (
                one.endpoint == endpoint
                if target is None
                else target.person == person and target.campaign_id in campaign_ids
            ):
                continue
            certainty = self._certainty(one, call)
            if certainty is not None:
                is_scheduled = target is not None and target.is_scheduled
                is_plain = target is not None and not is_scheduled
                yield ExplainedSend(
                    started_at=call.started_at,
                    ended_at=call.ended_at,
                    is_certain=certainty and is_plain,
                    is_scheduled=is_scheduled,
                )

    def _certainty(self, one: RecipientDelivery, call: Attempt) -> bool | None:
        """Tell whether a call's message went out: yes, perhaps (False), or None: no."""
        is_delivered = one.status is not DeliveryStatus.UNDELIVERED
        if call.outcome == _SENT:
            return is_delivered
        if call.outcome != _UNKNOWN:
            return None
        unknown = [other for other in one.attempts if other.outcome == _UNKNOWN]
        was_found = not any(other.outcome == _SENT for other in one.attempts)
        if one.status in _ACCEPTED and was_found and call is unknown[-1]:
            return is_delivered
        if one.status in _OPEN:
            return False
        # It was sent again since: checked before, or not.
        return None if self.is_checked(one.route) else False


def _in_doubt(one: RecipientDelivery) -> Sequence[Attempt]:
    """List the calls of a delivery in doubt that put it there."""
    unknown = [call for call in one.attempts if call.outcome == _UNKNOWN]
    return unknown[-one.unknown_outcomes :] if one.unknown_outcomes > 0 else []


def _person(targets: Sequence[SendTarget]) -> Recipient:
    """Name the person the destination is to be asked about."""
    if any(target.is_scheduled for target in targets):
        raise Undecidable("a scheduled message cannot be checked")
    if any(target.person != targets[0].person for target in targets):
        raise Undecidable("it was addressed to two people")
    return targets[0].person
