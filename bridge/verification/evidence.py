"""What the ledger says about a doubt: who else is in it, and what else was sent.

Pure: rows in, a case or a reason why there is none out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.accounting import UNLISTED, Send, Target, target_of
from bridge.model import Classification, DeliveryStatus, Recipient
from bridge.store import Call, Doubt, Sibling

#: Wait for a neighbour that is being sent just now.
NEIGHBOUR = timedelta(seconds=1)

_SENT, _UNKNOWN = Classification.SUCCESS.value, "unknown"
_IN_DOUBT = DeliveryStatus.IN_DOUBT
#: States of a delivery that Iterable has taken.
_TAKEN = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED, DeliveryStatus.UNDELIVERED)
#: States in which nobody knows any more whether a send in doubt went out.
_OPEN = (DeliveryStatus.HELD, DeliveryStatus.DEAD, DeliveryStatus.DROPPED)


class NotYet(Exception):  # noqa: N818 - no mistake: a reason to look again later
    """It is too early to ask."""

    def __init__(self, delay: timedelta) -> None:
        self.delay = delay
        super().__init__()


class Undecidable(Exception):  # noqa: N818 - no mistake: an answer
    """No question could settle it."""


class Untold(Exception):  # noqa: N818 - no mistake: it may be told later
    """What was sent cannot be told now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is in doubt for one person and campaign, and what else was sent."""

    person: Recipient
    campaign_ids: frozenset[int]
    #: Deliveries in doubt.
    group: tuple[Sibling, ...]
    #: When the first send in doubt began.
    begin: datetime
    #: What the ledger explains by something else.
    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A person's deliveries, looked at for the sake of one in doubt.

    Args:
        siblings: The person's deliveries, the one in doubt among them.
        rendered: Shows what an attempt would send, where the ledger does not know
            what one did send.
        is_checked: Tells whether a route's doubts are checked before it sends again.
        after: How long Iterable may take to show a message.
        now: The store's time.
    """

    siblings: Sequence[Sibling]
    rendered: Callable[[str], bytes | None]
    is_checked: Callable[[str], bool]
    after: timedelta
    now: datetime

    def case(self, doubt: Doubt) -> Case:
        """Make the case.

        Raises:
            NotYet: Something has to end first.
            Undecidable: Iterable's list could not settle it.
            Untold: It is not known what was sent.
        """
        own = next(
            (one for one in self.siblings if one.delivery_id == doubt.delivery_id), None
        )
        if own is None or (own.status, own.number) != (_IN_DOUBT, doubt.number):
            raise NotYet(NEIGHBOUR)  # it was settled meanwhile
        targets = self._targets(own)
        person = _person(own, targets)
        campaign_ids = frozenset(target.campaign_id for target in targets)
        group = [own, *self._others(own, person, campaign_ids)]
        self._wait_for(group)
        sends = tuple(self._sends(group, person, campaign_ids))
        self._wait_for_sends(sends)
        return Case(
            person=person,
            campaign_ids=campaign_ids,
            group=tuple(group),
            begin=min(call.started_at for one in group for call in _in_doubt(one)),
            sends=sends,
        )

    def _targets(self, one: Sibling) -> list[Target]:
        """Tell what each send in doubt was about."""
        found = []
        for call in _in_doubt(one):
            target = target_of(call.payload)
            if target is None:
                target = target_of(self.rendered(one.delivery_id))
            if target is None:
                raise Untold("what was sent is not on record and cannot be rendered")
            found.append(target)
        if not found:
            raise Undecidable("no attempt is on record")
        return found

    def _others(
        self, own: Sibling, person: Recipient, campaign_ids: frozenset[int]
    ) -> Iterator[Sibling]:
        for one in self.siblings:
            if one.status is not _IN_DOUBT or one.delivery_id == own.delivery_id:
                continue
            if any(
                target.person == person and target.campaign_id in campaign_ids
                for target in self._targets(one)
            ):
                yield one

    def _wait_for(self, group: Sequence[Sibling]) -> None:
        if any(one.status is DeliveryStatus.SENDING for one in self.siblings):
            raise NotYet(NEIGHBOUR)
        ready = max(one.since for one in group) + self.after
        if ready > self.now:
            raise NotYet(ready - self.now)

    def _wait_for_sends(self, sends: Sequence[Send]) -> None:
        ended = (one.ended_at for one in sends if not one.is_scheduled)
        ready = max(ended, default=self.now - self.after) + self.after
        # One further ahead than that was written before the clock was set back.
        if self.now < ready <= self.now + self.after:
            raise NotYet(ready - self.now)

    def _sends(
        self,
        group: Sequence[Sibling],
        person: Recipient,
        campaign_ids: frozenset[int],
    ) -> Iterator[Send]:
        """List what else may stand in Iterable's list."""
        doubted = {id(call) for one in group for call in _in_doubt(one)}
        endpoint = group[0].endpoint
        for one in self.siblings:
            for call in one.calls:
                target = target_of(call.payload)
                if id(call) in doubted or not (
                    one.endpoint == endpoint
                    if target is None
                    else target.person == person and target.campaign_id in campaign_ids
                ):
                    continue
                certainty = self._certainty(one, call)
                if certainty is not None:
                    yield Send(
                        started_at=call.started_at,
                        ended_at=call.ended_at,
                        is_certain=certainty and _is_plain(target),
                        is_scheduled=target is not None and target.is_scheduled,
                    )

    def _certainty(self, one: Sibling, call: Call) -> bool | None:
        """Tell whether a call's message went out: yes, perhaps (False), or None: no."""
        is_delivered = one.status is not DeliveryStatus.UNDELIVERED
        if call.outcome == _SENT:
            return is_delivered
        if call.outcome != _UNKNOWN:
            return None
        unknown = [other for other in one.calls if other.outcome == _UNKNOWN]
        was_found = not any(other.outcome == _SENT for other in one.calls)
        if one.status in _TAKEN and was_found and call is unknown[-1]:
            return is_delivered
        if one.status in _OPEN or one.status is _IN_DOUBT:
            return False
        # It was sent again since: checked before, or not.
        return None if self.is_checked(one.route) else False


def _in_doubt(one: Sibling) -> Sequence[Call]:
    """List the calls of a delivery in doubt that put it there."""
    unknown = [call for call in one.calls if call.outcome == _UNKNOWN]
    return unknown[-one.doubts :] if one.doubts > 0 else []


def _is_plain(target: Target | None) -> bool:
    return target is not None and not target.is_scheduled


def _person(own: Sibling, targets: Sequence[Target]) -> Recipient:
    """Name whom Iterable is to be asked about."""
    if own.endpoint in UNLISTED:
        medium = own.endpoint.removesuffix("/target")
        raise Undecidable(f"Iterable does not list {medium} messages")
    if any(target.is_scheduled for target in targets):
        raise Undecidable("a scheduled message cannot be checked")
    if any(target.person != targets[0].person for target in targets):
        raise Undecidable("it was addressed to two people")
    return targets[0].person
