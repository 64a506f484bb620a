"""One event while its transaction decides on it; no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.model import EventStatus, IngestResult, NewDelivery, NewEvent

#: States in which an event waits to be decided again.
UNDECIDED = (EventStatus.PARKED, EventStatus.IGNORED)
#: End of a business key of a whole publication.
PUBLICATION_SUFFIX = ":*"
#: Beginning of a key of a code given to a customer.
CODE_PREFIX = "code:"

#: Most deliveries a reason names.
_NAMED = 3


@dataclass(slots=True, kw_only=True)
class IngestState:
    """One event, the row it belongs to, and what is known about it so far."""

    event: NewEvent
    #: Row it is written to: its own, or that of the first copy.
    event_id: str
    #: True for the first of its transaction that belongs to a row from before.
    is_known: bool = False
    #: An earlier event of the same transaction that decides for both.
    duplicate_of: "IngestState | None" = None
    made: list[NewDelivery] = field(default_factory=list)
    #: Ids of those made that are beyond what their person may get.
    held: list[str] = field(default_factory=list)
    #: Deliveries that had its keys before.
    winners: list[str] = field(default_factory=list)
    #: Deliveries that sent a part of what one message should send whole.
    partially_sent_by: list[str] = field(default_factory=list)
    result: IngestResult | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it is still to be decided, and by itself."""
        return self.result is None and self.duplicate_of is None


def outcome(state: IngestState) -> IngestResult:
    """Say what became of an event that was decided in this transaction."""
    status, reason = state.event.status, state.event.reason
    winners = tuple(dict.fromkeys(state.winners))
    named = ", ".join(winners[:_NAMED])
    partial = ", ".join(dict.fromkeys(state.partially_sent_by[:_NAMED]))
    if state.made:
        status = EventStatus.STORED
        if winners:
            reason = f"{len(state.winners)} of its messages sent before: {named}"
    elif partial:
        status = EventStatus.PARKED
        reason = f"only some of its vouchers were sent before, by delivery {partial}"
    elif winners:
        status, reason = EventStatus.DUPLICATE, f"sent before by delivery {named}"
    made = tuple(one.id for one in state.made)
    return IngestResult(
        event_id=state.event_id,
        status=status,
        reason=reason,
        deliveries=made or winners,
        held=tuple(state.held),
    )


def answer(state: IngestState) -> IngestResult:
    """Answer an event, by its decider where an earlier event decided for both.

    Raises:
        AssertionError: Neither was decided.
    """
    first = state
    while first.duplicate_of is not None:
        first = first.duplicate_of
    if first.result is None:
        raise AssertionError("an event is decided, or has a decider that is")
    if first is state or first.result.status in UNDECIDED:
        return first.result
    return replace(first.result, status=EventStatus.DUPLICATE, held=())


def conflicting_owner(
    delivery: NewDelivery, owners: Mapping[tuple[str, str], str]
) -> str | None:
    """Find what else holds a key of the delivery; None where it holds them all."""
    for key, _ in delivery.keys:
        owner = owners.get((delivery.route, key), delivery.id)
        if owner != delivery.id:
            return owner
    return None


def is_publication(delivery: NewDelivery) -> bool:
    """Tell whether a delivery sends a whole publication as one message."""
    return delivery.key.endswith(PUBLICATION_SUFFIX)


def is_fully_covered(
    delivery: NewDelivery, owners: Mapping[tuple[str, str], str]
) -> bool:
    """Tell whether others have sent all that a whole publication would send.

    They have where they hold the key of the whole, that of every voucher, or that of
    every code.
    """
    vouchers = [key for key, _ in delivery.keys if not key.startswith(CODE_PREFIX)]
    vouchers.remove(delivery.key)
    codes = [key for key, _ in delivery.keys if key.startswith(CODE_PREFIX)]
    return any(
        several
        and all(
            owners.get((delivery.route, key), delivery.id) != delivery.id
            for key in several
        )
        for several in ([delivery.key], vouchers, codes)
    )
