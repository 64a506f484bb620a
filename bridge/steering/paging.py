"""Lists of any length, read from the ledger page by page."""

from collections.abc import Iterator
from dataclasses import replace

from bridge.store import DeliveryFilter, DeliveryRow, EventFilter, EventRow, Ledger

#: Rows of one page; no limit of the filter counts here.
PAGE = 500


def every_delivery(ledger: Ledger, wanted: DeliveryFilter) -> Iterator[DeliveryRow]:
    """List every delivery that fits, the newest first."""
    page = replace(wanted, limit=PAGE)
    while rows := ledger.deliveries(page):
        yield from rows
        page = replace(page, after=rows[-1].id)


def every_event(ledger: Ledger, wanted: EventFilter) -> Iterator[EventRow]:
    """List every event that fits, the newest first."""
    page = replace(wanted, limit=PAGE)
    while rows := ledger.events(page):
        yield from rows
        page = replace(page, after=rows[-1].id)
