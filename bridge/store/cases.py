"""One arrival while its transaction decides on it; no SQL."""

from dataclasses import dataclass, field, replace

from bridge.model import Arrival, EventStatus, NewDelivery, Stored

#: States in which an event waits to be decided again.
UNUSED = (EventStatus.PARKED, EventStatus.IGNORED)

#: Most winners a reason names.
_NAMED = 3


@dataclass(slots=True, kw_only=True)
class Case:
    """One arrival, the row it belongs to, and what is known about it so far."""

    arrival: Arrival
    #: Row it is written to: its own, or the one of the first.
    event_id: str
    #: True for the first of its transaction to meet a row that stood there before.
    is_known: bool = False
    #: An earlier arrival of the same transaction that decides for both.
    decider: "Case | None" = None
    made: list[NewDelivery] = field(default_factory=list)
    #: Ids of those made that are beyond what their person may get.
    held: list[str] = field(default_factory=list)
    #: Deliveries that had its keys before.
    winners: list[str] = field(default_factory=list)
    #: Deliveries that told a part of what one message should tell whole.
    parted: list[str] = field(default_factory=list)
    stored: Stored | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it is still to be decided, and by itself."""
        return self.stored is None and self.decider is None


def outcome(case: Case) -> Stored:
    """Say what became of a case that was decided in this transaction."""
    status, reason = case.arrival.status, case.arrival.reason
    winners = tuple(dict.fromkeys(case.winners))
    named = ", ".join(winners[:_NAMED])
    parted = ", ".join(dict.fromkeys(case.parted[:_NAMED]))
    if case.made:
        status = EventStatus.STORED
        if winners:
            reason = f"{len(case.winners)} of its rewards told before: {named}"
    elif parted:
        status = EventStatus.PARKED
        reason = f"only some of its vouchers were told before, by delivery {parted}"
    elif winners:
        status, reason = EventStatus.DUPLICATE, f"told before by delivery {named}"
    made = tuple(one.id for one in case.made)
    return Stored(
        event_id=case.event_id,
        status=status,
        reason=reason,
        deliveries=made or winners,
        held=tuple(case.held),
    )


def answer(case: Case) -> Stored:
    """Answer a case, for its decider where an earlier arrival spoke for both.

    Raises:
        AssertionError: Nobody decided.
    """
    first = case
    while first.decider is not None:
        first = first.decider
    if first.stored is None:
        raise AssertionError("a case is decided, or has a decider that is")
    if first is case or first.stored.status in UNUSED:
        return first.stored
    return replace(first.stored, status=EventStatus.DUPLICATE, held=())
