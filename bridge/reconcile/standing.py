"""How publications stand, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.publications import Publication
from bridge.store.tellings import Telling

#: How far Voucherify's clock and the ledger's may differ, and then some.
CLOCKS = timedelta(minutes=10)
#: Voucherify repeats a webhook for a day; and for as long, a code tells the same
#: reward whichever publication it came by (`bridge.voucherify.keys`).
NEAR = timedelta(hours=25)


class Finding(StrEnum):
    """How one publication stands."""

    TOLD = "told"  #: the ledger has its deliveries
    LATE = "late"  #: has them, but they came more than an hour after the publication
    MISSING = "missing"  #: a route wants it, and the ledger lacks it, or a part of it
    FAILED = "failed"  #: Voucherify could not publish, so there is nothing to tell
    EXTRA = "extra"  #: the ledger has it, Voucherify does not list it
    UNWANTED = "unwanted"  #: no route wants it
    UNUSABLE = "unusable"  #: no message can be made of it; the reason says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One publication and how it stands."""

    finding: Finding
    publication_id: str | None
    #: None where it cannot be told.
    published_at: datetime | None
    customer_id: str | None
    codes: tuple[str, ...]
    #: Ids of the deliveries that tell it.
    deliveries: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A publication that the ledger lacks, or a part of it."""

    publication: Publication
    #: Which code goes with which voucher id, as far as the ledger knows.
    known: Mapping[str, str]
    #: The deliveries that tell the other part.
    deliveries: tuple[str, ...]

    def found(self, finding: Finding, reason: str | None) -> Found:
        """Say how it stands."""
        return found_of(self.publication, finding, reason, self.deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which publications are compared, by when they were made."""

    since: datetime
    #: None for no end.
    until: datetime | None

    def has(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        return self.since <= moment and (self.until is None or moment <= self.until)

    def may_be_of(self, telling: Telling) -> bool:
        """Tell whether a delivery may be about a publication in it."""
        # Counted back, as the end may be the last day of the calendar.
        return self.until is None or telling.created_at - NEAR <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing."""

    #: Told, late, failed or unusable: no more is to be found out about these.
    settled: tuple[Found, ...]
    missing: tuple[Missing, ...]
    #: Deliveries of publications that were not listed, by their ids. They are extra
    #: where the publication lies in the window; only their events know.
    unlisted: Mapping[str, tuple[Telling, ...]]
    #: Deliveries that tell what was listed, one status for each.
    statuses: tuple[str, ...] = ()


def found_of(
    one: Publication,
    finding: Finding,
    reason: str | None,
    deliveries: tuple[str, ...] = (),
) -> Found:
    """Say how a publication stands, why, and by which deliveries."""
    return Found(
        finding=finding,
        publication_id=one.id,
        published_at=one.published_at,
        customer_id=one.customer_id,
        codes=one.codes,
        deliveries=deliveries,
        reason=reason,
    )
