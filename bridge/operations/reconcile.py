"""Voucherify's publications against the ledger: which are missing, late or failed.

Pure: no clock, no I/O. A missing publication is handed to the intake as the webhook
that did not arrive (`bridge.operations.backfill`); nothing else enters the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import product

from bridge.integrations.voucherify.keys import (
    WHOLE,
    grants_code,
    publication_id_of,
    publication_key,
)
from bridge.integrations.voucherify.publications import Publication
from bridge.model import Delivery

#: How far Voucherify's clock and the ledger's may differ, and then some.
CLOCK_SKEW = timedelta(minutes=10)
#: Voucherify repeats a webhook for a day; and for as long, a code marks the same reward
#: whichever publication brought it.
MATCH_WINDOW = timedelta(hours=25)
#: A webhook usually arrives within seconds of its publication.
LATE = timedelta(hours=1)


class Finding(StrEnum):
    """What the comparison found about one publication."""

    MATCHED = "matched"  #: the ledger has its deliveries
    LATE = "late"  #: it has them, more than an hour after the publication
    MISSING = "missing"  #: a route matches, and the ledger lacks all or part of it
    FAILED = "failed"  #: Voucherify could not publish, so there is nothing to send
    UNEXPECTED = "unexpected"  #: the ledger has it, Voucherify does not list it
    UNROUTED = "unrouted"  #: no route matches it
    UNUSABLE = "unusable"  #: no message can be made of it; the reason says why


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPublication:
    """One publication and what was found about it."""

    finding: Finding
    publication_id: str | None
    #: None where Voucherify does not say.
    published_at: datetime | None
    customer_id: str | None
    codes: tuple[str, ...]
    #: Ids of its deliveries.
    deliveries: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """Which publications are compared, by when they were made."""

    since: datetime
    #: None for no end.
    until: datetime | None

    def has(self, time: datetime) -> bool:
        """Tell whether a time is in the range."""
        return self.since <= time and (self.until is None or time <= self.until)

    def may_be_of(self, delivery: Delivery) -> bool:
        """Tell whether a delivery may be about a publication in it."""
        # Counted back, as the end may be the last day of the calendar.
        return self.until is None or delivery.created_at - MATCH_WINDOW <= self.until


@dataclass(slots=True)
class Listed:
    """One listed publication and the deliveries found for it so far."""

    publication: Publication
    #: By voucher id: the delivery that names it.
    ids: dict[str, Delivery] = field(default_factory=dict)
    #: By code: the delivery that shows it.
    codes: dict[str, Delivery] = field(default_factory=dict)

    @property
    def deliveries(self) -> dict[str, Delivery]:
        """By id, each delivery once."""
        both = (*self.ids.values(), *self.codes.values())
        return {one.id: one for one in both}

    @property
    def is_matched(self) -> bool:
        """Tell whether the ledger has all of it."""
        one = self.publication
        is_by_ids = bool(one.voucher_ids) and self.ids.keys() >= set(one.voucher_ids)
        return is_by_ids or (bool(one.codes) and self.codes.keys() >= set(one.codes))

    def match(self, voucher_id: str, delivery: Delivery) -> None:
        """Note a delivery that names a voucher of it, or all of them."""
        mine = self.publication.voucher_ids
        for each in mine if voucher_id == WHOLE else (voucher_id,):
            self.ids[each] = delivery
        self.codes |= {
            code: delivery
            for code in _codes(delivery)
            if code in self.publication.codes
        }

    @property
    def known(self) -> dict[str, str]:
        """Which code goes with which voucher id, as far as the ledger knows."""
        return {
            voucher_id: delivery.code
            for voucher_id, delivery in self.ids.items()
            if delivery.code and len(_codes(delivery)) == 1
        }

    def found(self, finding: Finding, reason: str | None) -> FoundPublication:
        """Say what was found about it."""
        one = self.publication
        return FoundPublication(
            finding=finding,
            publication_id=one.id,
            published_at=one.published_at,
            customer_id=one.customer_id,
            codes=one.codes,
            deliveries=tuple(self.deliveries),
            reason=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of comparing."""

    #: Matched, late, failed or unusable: these are final.
    settled: tuple[FoundPublication, ...]
    #: The ledger lacks these, or a part of them.
    missing: tuple[Listed, ...]
    #: Deliveries of publications that were not listed, by publication id. They are
    #: unexpected where the publication is in the range; only their events know.
    unlisted: Mapping[str, tuple[Delivery, ...]]
    #: Statuses of the matched deliveries, one for each.
    statuses: tuple[str, ...] = ()


def compare(
    publications: Iterable[Publication],
    deliveries: Iterable[Delivery],
    window: TimeRange,
) -> Comparison:
    """Find out which publications the ledger has, and the other way round.

    Args:
        publications: As listed: all in the window, and perhaps some beyond it.
        deliveries: The deliveries since the window began, in any order.
        window: What is compared.
    """
    comparison = _Comparison(window)
    for publication in publications:
        comparison.add_publication(publication)
    for delivery in deliveries:
        comparison.add_delivery(delivery)
    return comparison.result()


class _Comparison:
    """Reads the list, then the ledger, and keeps what is needed of either."""

    def __init__(self, window: TimeRange) -> None:
        self._window = window
        self._settled: list[FoundPublication] = []
        #: Publications in the range that gave something, in the order listed.
        self._listed: list[Listed] = []
        self._known: set[str] = set()
        self._by_key: dict[str, tuple[Listed, str]] = {}
        #: By code and person: thousands may have been given one code.
        self._by_code: defaultdict[tuple[str, str], list[Listed]] = defaultdict(list)
        self._unlisted: defaultdict[str, list[Delivery]] = defaultdict(list)

    def add_publication(self, one: Publication) -> None:
        """Add one listed publication."""
        if one.id is not None:
            self._known.add(one.id)
        if one.published_at is not None and not self._window.has(one.published_at):
            return
        listed, problem = Listed(one), _problem(one)
        if one.failure is not None:
            self._settled.append(listed.found(Finding.FAILED, one.failure))
        elif one.id is None or problem is not None:
            self._settled.append(listed.found(Finding.UNUSABLE, problem))
        else:
            self._listed.append(listed)
            for name in (WHOLE, *one.voucher_ids):
                self._by_key[publication_key(one.id, name)] = (listed, name)
            for pair in product(one.codes, {one.customer_id or "", *one.names}):
                self._by_code[pair].append(listed)

    def add_delivery(self, delivery: Delivery) -> None:
        """Add one delivery of the ledger."""
        named = self._by_key.get(delivery.key)
        if named is not None:
            named[0].match(named[1], delivery)
        else:
            self._note_unlisted(delivery)
        if grants_code(delivery.key):
            self._match_codes(delivery, is_listed=named is not None)

    def _match_codes(self, delivery: Delivery, *, is_listed: bool) -> None:
        """Match a delivery by its codes, whatever made it."""
        people = {delivery.customer_id, delivery.recipient} - {None, ""}
        for code, person in product(_codes(delivery), people):
            for one in self._by_code.get((code, person or ""), ()):
                if _is_near_enough(one.publication, delivery, is_listed=is_listed):
                    one.codes.setdefault(code, delivery)

    def _note_unlisted(self, delivery: Delivery) -> None:
        name = publication_id_of(delivery.key)
        is_candidate = name not in self._known and self._window.may_be_of(delivery)
        if name is not None and is_candidate:
            self._unlisted[name].append(delivery)

    def result(self) -> Comparison:
        """Say what was found."""
        matched = [one for one in self._listed if one.is_matched]
        return Comparison(
            settled=(*self._settled, *map(_matched, matched)),
            missing=tuple(one for one in self._listed if not one.is_matched),
            unlisted={name: tuple(one) for name, one in self._unlisted.items()},
            statuses=tuple(
                delivery.status
                for one in matched
                for delivery in one.deliveries.values()
            ),
        )


def _codes(delivery: Delivery) -> list[str]:
    return delivery.code.split(", ") if delivery.code else []


def _problem(one: Publication) -> str | None:
    """Say why a publication cannot be compared."""
    if one.id is None:
        return "it has no id"
    if one.published_at is None:
        return "it does not say when it was made"
    if not one.voucher_ids:
        return "it names no voucher"
    return None


def _is_near_enough(one: Publication, delivery: Delivery, *, is_listed: bool) -> bool:
    """Tell whether a delivery of a code to a person covers its publication to them.

    A delivery of one listed publication covers another only where that is near, as in
    the intake. One of no listed publication (a reward, a raw body) may be older.
    """
    if one.published_at is None:
        return False
    after = delivery.created_at - one.published_at
    return after >= -MATCH_WINDOW and (after <= MATCH_WINDOW or not is_listed)


def _matched(listed: Listed) -> FoundPublication:
    """Say that a publication has its deliveries, and whether they were in time."""
    at = listed.publication.published_at
    last = max(delivery.created_at for delivery in listed.deliveries.values())
    delay = timedelta(0) if at is None else last - at
    if delay <= LATE:
        return listed.found(Finding.MATCHED, None)
    return listed.found(Finding.LATE, f"{_span(delay)} after the publication")


def _span(delay: timedelta) -> str:
    minutes = int(delay.total_seconds()) // 60
    if delay.days:
        return f"{delay.days} d {minutes // 60 % 24} h"
    return f"{minutes // 60} h {minutes % 60} min"


def unexpected(
    unlisted: Mapping[str, Sequence[Delivery]],
    published: Mapping[str, datetime | None],
    window: TimeRange,
) -> Iterator[FoundPublication]:
    """Yield what the ledger has of the range and Voucherify does not list.

    Args:
        unlisted: Deliveries by publication id.
        published: By event id: when the publication was made, None if not said.
        window: What is compared.
    """
    for name, deliveries in unlisted.items():
        first = min(deliveries, key=lambda one: one.created_at)
        time = published.get(first.event_id)
        if window.has(first.created_at if time is None else time):
            yield FoundPublication(
                finding=Finding.UNEXPECTED,
                publication_id=name,
                published_at=time,
                customer_id=first.customer_id,
                codes=tuple(code for one in deliveries for code in _codes(one)),
                deliveries=tuple(one.id for one in deliveries),
                reason="Voucherify does not list it",
            )
