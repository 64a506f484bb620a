"""Deliveries of publications that Voucherify does not list. Pure: no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bridge.model import Capture
from bridge.publications import moment
from bridge.reconcile.standing import Finding, Found, Window
from bridge.store.tellings import Telling
from bridge.voucherify import data_of, parse


def extras(
    unlisted: Mapping[str, Sequence[Telling]],
    published: Mapping[str, datetime | None],
    window: Window,
) -> Iterator[Found]:
    """Yield what the ledger has of the window and Voucherify does not list.

    Args:
        unlisted: Deliveries by the publication they tell of.
        published: When that was made, by the event that told of it, where it says so.
        window: What is compared.
    """
    for name, tellings in unlisted.items():
        first = min(tellings, key=lambda one: one.created_at)
        moment = published.get(first.event_id)
        if window.has(first.created_at if moment is None else moment):
            yield Found(
                finding=Finding.EXTRA,
                publication_id=name,
                published_at=moment,
                customer_id=first.customer_id,
                codes=tuple(code for one in tellings for code in one.codes),
                deliveries=tuple(one.id for one in tellings),
                reason="Voucherify does not list it",
            )


def published_at(capture: Capture) -> datetime | None:
    """Read from a webhook when its publication was made; None where it says nothing."""
    publication = data_of(parse(capture).document).get("publication")
    if not isinstance(publication, dict):
        return None
    return moment(publication.get("created_at"))
