"""Which deliveries `redeliver` is about, and which of them it may put back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.model import Cause, DeliveryStatus, sources
from bridge.steering.paging import every_delivery
from bridge.store import DeliveryFilter, DeliveryRow, Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Deliveries found, divided by what may happen to them."""

    chosen: tuple[DeliveryRow, ...]
    #: Those whose state forbids it, with or without `--force`.
    refused: tuple[DeliveryRow, ...]
    #: Ids under which there is none.
    unknown: tuple[str, ...] = ()
    #: How many have no webhook any more of which a payload could be made.
    blanked: int = 0

    @property
    def people(self) -> int:
        """Count the different recipients."""
        return len({one.recipient for one in self.chosen if one.recipient})

    @property
    def refused_by_status(self) -> Mapping[DeliveryStatus, int]:
        """Count what is refused."""
        return Counter(one.status for one in self.refused)


def by_ids(ledger: Ledger, ids: Sequence[str], *, force: bool) -> Choice:
    """Look up deliveries by their ids."""
    stories = {one: ledger.story(one) for one in dict.fromkeys(ids)}
    rows = [story.delivery for story in stories.values() if story is not None]
    unknown = [one for one, story in stories.items() if story is None]
    return _divided(ledger, rows, unknown, force=force)


def by_filters(ledger: Ledger, filters: Mapping[str, Any], *, force: bool) -> Choice:
    """Look up deliveries as `deliveries` does, all of them."""
    rows = list(every_delivery(ledger, DeliveryFilter(**filters)))
    return _divided(ledger, rows, (), force=force)


def _divided(
    ledger: Ledger, rows: Sequence[DeliveryRow], unknown: Sequence[str], *, force: bool
) -> Choice:
    cause = Cause.REDELIVER_FORCED if force else Cause.REDELIVER
    allowed = [one for one in rows if one.status in sources(cause)]
    gone = ledger.blanked([one.event_id for one in allowed])
    return Choice(
        chosen=tuple(one for one in allowed if one.event_id not in gone),
        refused=tuple(one for one in rows if one.status not in sources(cause)),
        blanked=sum(one.event_id in gone for one in allowed),
        unknown=tuple(unknown),
    )
