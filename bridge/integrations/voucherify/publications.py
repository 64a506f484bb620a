"""Voucherify's list of publications, from the newest back to a time, each one once.

The list grows while it is read, which moves what comes later a place down: pages then
overlap, and nothing is skipped. Anything else that is odd about the pages ends in an
error or in reading on, never in a list that is short of some.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bridge.errors import VendorError, VendorRejected
from bridge.integrations.voucherify.document import identifier, member, moment
from bridge.model import Capture, Json

#: Publications on one page, Voucherify's most.
PAGE = 100
#: Last page Voucherify may be asked for; one of its texts says 100, and it will tell.
LAST_PAGE = 1000
#: So many pages in a row may bring nothing new: while one waited for its turn, others
#: may have published as many.
MAX_REPEATS = 5
_BAD_REQUEST = 400
#: Vendor text that is repeated to a person has at most so many characters.
_MAX_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One publication as listed; what it lacks is None or empty."""

    id: str | None
    published_at: datetime | None
    customer_id: str | None
    #: Under what else a ledger may know the customer: source id, e-mail address.
    names: tuple[str, ...] = field(default=(), repr=False)
    voucher_ids: tuple[str, ...] = ()
    #: In the order listed, which need not be that of the ids.
    codes: tuple[str, ...] = field(default=(), repr=False)
    #: Why it gave nothing, where Voucherify says that it failed.
    failure: str | None = None
    #: As listed, in compact JSON: thousands of them are held at a time.
    document: bytes = field(repr=False, default=b"{}")


class Pages(Protocol):
    """A numbered list of pages, from 1."""

    def page(self, number: int, size: int) -> Json:
        """Give one page."""


class PublicationPager:
    """One walk through the list.

    Args:
        pages: Where the pages come from (`VoucherifyClient`).
        notify: Gets a sentence where the list is not as it should be.
    """

    def __init__(self, pages: Pages, notify: Callable[[str], None]) -> None:
        self._pages = pages
        self._notify = notify
        self._seen: set[str] = set()
        #: Items seen, those without an id among them.
        self._count = 0
        #: Fewest that Voucherify said there were, at any time of the walk.
        self._total: int | None = None
        self._oldest: datetime | None = None
        self._is_in_order = True

    def since(self, time: datetime) -> Iterator[Publication]:
        """Yield every publication made at or after a time, and a few before it.

        Raises:
            VendorError: The list cannot be read whole, as far back as that time.
        """
        repeats = 0
        for number in range(1, LAST_PAGE + 1):
            items = self._items(number)
            new = [one for one in map(read, items) if self._is_new(one)]
            yield from new
            repeats = 0 if new else repeats + 1
            if self._is_over(items, time):
                return
            if repeats == MAX_REPEATS:
                raise VendorError(
                    f"page {number} of the list and those before it bring nothing new"
                )
        raise self._out_of_reach()

    def _items(self, number: int) -> list[Json]:
        try:
            page = self._pages.page(number, PAGE)
        except VendorRejected as error:
            if number == 1 or error.status != _BAD_REQUEST:
                raise
            raise self._out_of_reach() from error
        found = page if isinstance(page, dict) else {}
        items = found.get("publications")
        if not isinstance(items, list):
            raise VendorError(f"page {number} is no list of publications")
        total = found.get("total")
        if isinstance(total, int) and not isinstance(total, bool):
            self._total = total if self._total is None else min(total, self._total)
        return items

    def _is_new(self, one: Publication) -> bool:
        """Note an item; check that the list goes from the newest to the oldest."""
        if one.id in self._seen:
            return False
        self._count += 1
        if one.id is not None:
            self._seen.add(one.id)
        time = one.published_at
        if time is not None and (self._oldest is None or time <= self._oldest):
            self._oldest = time
        elif time is not None and self._is_in_order:
            self._is_in_order = False
            self._notify("the list is not in order of time: reading all of it")
        return True

    def _is_over(self, items: list[Json], time: datetime) -> bool:
        """Tell whether the time, or the end of the list, was reached.

        Raises:
            VendorError: The list ended before all of it was seen.
        """
        if self._is_in_order and self._oldest is not None and self._oldest < time:
            return True
        is_whole = self._total is None or self._count >= self._total
        if not items and not is_whole:
            raise VendorError(
                f"Voucherify says it has {self._total} publications and lists "
                f"{self._count}; try again"
            )
        # Only a short page that completes the list is surely the last one.
        return not items or (len(items) < PAGE and is_whole)

    def _out_of_reach(self) -> VendorError:
        reach = "" if self._oldest is None else f" than {self._oldest:%Y-%m-%d %H:%M}Z"
        return VendorError(
            f"Voucherify lists no further back{reach}; choose a later --since"
        )


def read(item: Json) -> Publication:
    """Read one item of the list; never fails."""
    one = item if isinstance(item, dict) else {}
    customer = member(one, "customer")
    source_ids = (customer.get("source_id"), one.get("tracking_id"))
    names = (identifier(name) for name in (*source_ids, customer.get("email")))
    customer_ids = (one.get("customer_id"), customer.get("id"))
    return Publication(
        id=identifier(one.get("id")),
        published_at=moment(one.get("created_at")),
        customer_id=next(filter(None, map(identifier, customer_ids)), None),
        names=tuple(dict.fromkeys(name for name in names if name is not None)),
        voucher_ids=_identifiers(one.get("vouchers_id")),
        codes=_identifiers(_codes(one)),
        failure=_failure(one) if one.get("result") == "FAILURE" else None,
        document=json.dumps(one, separators=(",", ":")).encode("ascii"),
    )


def published_at(capture: Capture) -> datetime | None:
    """Read from a webhook when its publication was made; None where it does not say."""
    try:
        document = json.loads(capture.body)
    except (ValueError, RecursionError):
        return None
    data = member(document if isinstance(document, dict) else {}, "data")
    return moment(member(data, "publication").get("created_at"))


def _failure(one: Mapping[str, Json]) -> str:
    words = [one.get("failure_code"), one.get("failure_message")]
    text = ": ".join(word for word in words if isinstance(word, str) and word)
    return text[:_MAX_WORDS] or "Voucherify gives no reason"


def _codes(one: Mapping[str, Json]) -> list[Json]:
    """List the codes: of one voucher's object, else the texts or objects of several."""
    several = one.get("vouchers")
    listed: list[Json] = several if isinstance(several, list) else [one.get("voucher")]
    return [each.get("code") if isinstance(each, dict) else each for each in listed]


def _identifiers(values: Json) -> tuple[str, ...]:
    found = map(identifier, values if isinstance(values, list) else ())
    return tuple(dict.fromkeys(one for one in found if one is not None))
