"""Voucherify's list of publications from the newest back to a moment, each one once.

The list grows while it is read, which moves what comes later a place down: pages then
overlap, and nothing is passed over. Whatever else is odd about the pages ends in an
error or in reading on, never in a list that is short of some.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from bridge.errors import VoucherifyError, VoucherifyRefusal
from bridge.model import Json
from bridge.publications.reading import Publication, read

#: Publications on one page, Voucherify's most.
PAGE = 100
#: Last page Voucherify may be asked for; one of its texts says 100, and it will tell.
LAST_PAGE = 1000
#: So many pages in a row may bring nothing new: while one waited for its turn, others
#: may have published as many.
MAX_REPEATS = 5
_BAD_REQUEST = 400


class Pages(Protocol):
    """Where the pages come from."""

    def page(self, number: int, size: int) -> Json:
        """Give the page with this number, from 1."""


class Listing:
    """One walk through the list.

    Args:
        pages: Gives the pages.
        told: Gets a sentence where the list is not as it should be.
    """

    def __init__(self, pages: Pages, told: Callable[[str], None]) -> None:
        self._pages = pages
        self._told = told
        self._seen: set[str] = set()
        #: Items seen, those without an id among them.
        self._count = 0
        #: Fewest that Voucherify said there were, at any time of the walk.
        self._total: int | None = None
        self._oldest: datetime | None = None
        self._is_in_order = True

    def since(self, moment: datetime) -> Iterator[Publication]:
        """Yield every publication made at or after a moment, and a few before it.

        Raises:
            VoucherifyError: The list cannot be read whole, as far as that moment.
        """
        repeats = 0
        for number in range(1, LAST_PAGE + 1):
            items = self._items(number)
            news = list(self._news(items))
            yield from news
            repeats = 0 if news else repeats + 1
            if self._is_over(items, moment):
                return
            if repeats == MAX_REPEATS:
                raise VoucherifyError(
                    f"page {number} of the list and those before it bring nothing new"
                )
        raise self._out_of_reach()

    def _items(self, number: int) -> list[Json]:
        try:
            page = self._pages.page(number, PAGE)
        except VoucherifyRefusal as error:
            if number == 1 or error.status != _BAD_REQUEST:
                raise
            raise self._out_of_reach() from error
        found = page if isinstance(page, dict) else {}
        items = found.get("publications")
        if not isinstance(items, list):
            raise VoucherifyError(f"page {number} is no list of publications")
        total = found.get("total")
        if isinstance(total, int) and not isinstance(total, bool):
            self._total = total if self._total is None else min(total, self._total)
        return items

    def _news(self, items: list[Json]) -> Iterator[Publication]:
        for one in map(read, items):
            if one.id in self._seen:
                continue
            self._count += 1
            if one.id is not None:
                self._seen.add(one.id)
            self._follow(one.published_at)
            yield one

    def _follow(self, moment: datetime | None) -> None:
        """Watch that the list goes from the newest to the oldest."""
        if moment is None:
            return
        is_older = self._oldest is None or moment <= self._oldest
        if self._is_in_order and not is_older:
            self._is_in_order = False
            self._told("the list is not in order of time: reading all of it")
        if is_older:
            self._oldest = moment

    def _is_over(self, items: list[Json], moment: datetime) -> bool:
        """Tell whether the moment, or the end of the list, was reached.

        Raises:
            VoucherifyError: The list ended before all of it was seen.
        """
        if self._is_in_order and self._oldest is not None and self._oldest < moment:
            return True
        is_whole = self._total is None or self._count >= self._total
        if not items and not is_whole:
            raise VoucherifyError(
                f"Voucherify says it has {self._total} publications and lists "
                f"{self._count}; try again"
            )
        # Only a short page that completes the list is surely the last one.
        return not items or (len(items) < PAGE and is_whole)

    def _out_of_reach(self) -> VoucherifyError:
        reach = "" if self._oldest is None else f" than {self._oldest:%Y-%m-%d %H:%M}Z"
        return VoucherifyError(
            f"Voucherify lists no further back{reach}; choose a later --since"
        )
